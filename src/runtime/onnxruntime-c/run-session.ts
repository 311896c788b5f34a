/** Runs a session in the way that its device needs. */
import type { HostTensor, Tensors } from '../contract.ts';
import { runBound } from './bound-run.ts';
import { runPooled } from './pooled-run.ts';
import type { OpenSession, Place, RunRequest } from './run.ts';

/** @throws `cancelled`, `inference_failed`, `engine_out_of_memory` */
export async function run(session: OpenSession, request: RunRequest): Promise<Tensors> {
  if (!session.isPooled) return await runBound(session, request);
  return await keepOnDevice(session.place, await runPooled(session, request), request);
}

/** Outputs of a run that made all of them in the host's memory. */
export async function keepOnDevice(
  place: Place,
  made: Readonly<Record<string, HostTensor>>,
  { keep, unread = [] }: Pick<RunRequest, 'keep' | 'unread'>,
): Promise<Tensors> {
  const results: Record<string, Tensors[string]> = Object.fromEntries(
    Object.entries(made).filter(([name]) => !unread.includes(name)),
  );
  using kept = new DisposableStack();
  for (const name of keep) {
    const tensor = Object.hasOwn(made, name) ? made[name] : undefined;
    if (tensor !== undefined) results[name] = kept.use(await place.copy(tensor));
  }
  kept.move();
  return results;
}
