/**
 * A run on the one thread of a session's pool. CUDA's provider keeps handles of CUDA's libraries, and cuDNN's plans for attention, for each thread. koffi's
 * threads change from call to call. On an H100 a pass of SD 1.5 took 405 ms on them, with a batch of 16, and 96 ms on one thread.
 */
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { quote } from '../../lib/foreign-text.ts';
import type { HostTensor } from '../contract.ts';
import { runAsync } from './async-run.ts';
import type { Handle } from './bindings.ts';
import { OwnedHandle } from './handle.ts';
import { addressFor, type OpenSession, readOutputs, type RunRequest, runToEnd } from './run.ts';
import { copyFromHost, factsOf } from './values.ts';

/** @returns outputs in the host's memory; those that went into values which are there are not among them */
export async function runPooled(
  session: OpenSession,
  { inputs, into = {}, unread = [], signal, entries = {} }: Omit<RunRequest, 'keep'>,
): Promise<Readonly<Record<string, HostTensor>>> {
  const { environment } = session;
  const outputs = readOutputs(session, { unread });
  // It also keeps the inputs' memory until the run has ended.
  using scope = new DisposableStack();
  const given = new Map<string, Handle>();
  for (const [name, tensor] of Object.entries(inputs)) given.set(name, await addressFor(session, tensor, scope));
  const wanted = new Map(
    outputs.map((name) => [name, Object.hasOwn(into, name) ? into[name]?.address : undefined] as const),
  );
  let values: readonly Handle[] = [];
  await runToEnd(environment, { signal, entries }, async (options) => {
    const result = await runAsync(session, options, { inputs: given, outputs: wanted });
    values = result.outputs;
    for (const [index, name] of outputs.entries()) {
      const address = values[index] ?? 0n;
      if (wanted.get(name) === undefined && address !== 0n)
        scope.use(new OwnedHandle(address, environment.functions.releaseValue));
    }
    return result.status;
  });
  const results: Record<string, HostTensor> = {};
  for (const [index, name] of outputs.entries()) {
    if (wanted.get(name) !== undefined) continue;
    const address = values[index] ?? 0n;
    if (address === 0n) throw new Text2ImgError('inference_failed', `the output ${quote(name)} was not made.`);
    results[name] = copyFromHost(environment, address, factsOf(environment, address));
  }
  return results;
}
