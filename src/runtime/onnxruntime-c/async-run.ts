/**
 * A run of ONNX Runtime on a thread of the session's own pool (`RunAsync`). It takes values instead of a binding. Outputs that are not given are made in
 * the host's memory.
 */
import type { Handle } from './bindings.ts';
import type { OrtEnvironment } from './environment.ts';
import type { OpenSession } from './run.ts';

interface AsyncRun {
  /** Names and addresses of values, which must stay until the run has ended. */
  readonly inputs: ReadonlyMap<string, Handle>;
  /** `undefined`: made by the run. */
  readonly outputs: ReadonlyMap<string, Handle | undefined>;
}

interface AsyncResult {
  /** The caller releases it. */
  readonly status: Handle | null;
  /** In the order of the outputs; the caller releases those that the run made. 0: there is none. */
  readonly outputs: readonly Handle[];
}

/** ONNX Runtime reads the tables until the run has ended, from another thread. */
interface Running {
  readonly tables: readonly unknown[];
  readonly end: (status: Handle | null) => void;
}

const LONG_MS = 2 ** 30;

/** The number of a run is the data that ONNX Runtime hands back. */
const running = new Map<bigint, Running>();
let lastRun = 0n;
const callbacks = new WeakMap<OrtEnvironment, Handle>();

export async function runAsync(
  { environment, handle }: OpenSession,
  options: Handle,
  { inputs, outputs }: AsyncRun,
): Promise<AsyncResult> {
  const { functions } = environment;
  const [inputNames, inputValues] = tablesOf(environment, inputs);
  const [outputNames, outputValues] = tablesOf(environment, outputs);
  const run = ++lastRun;
  const { promise, resolve } = Promise.withResolvers<Handle | null>();
  running.set(run, { tables: [inputNames, inputValues, outputNames, outputValues], end: resolve });
  const refused = functions.runAsync(
    handle.address,
    options,
    inputNames.addresses,
    inputValues.addresses,
    inputs.size,
    outputNames.addresses,
    outputs.size,
    outputValues.addresses,
    callbackOf(environment),
    run,
  );
  if (refused !== null) running.delete(run);
  // koffi does not count a callback that is to come: without this a process with nothing else to do would end.
  const alive = setInterval(() => undefined, LONG_MS);
  try {
    const status = refused ?? (await promise);
    return { status, outputs: [...outputValues.addresses] };
  } finally {
    clearInterval(alive);
  }
}

interface Table {
  readonly addresses: BigUint64Array;
  readonly memory: readonly unknown[];
}

function tablesOf(
  { functions }: OrtEnvironment,
  values: ReadonlyMap<string, Handle | undefined>,
): readonly [names: Table, values: Table] {
  const names = Array.from(values.keys(), (name) => new TextEncoder().encode(`${name}\0`));
  return [
    { addresses: BigUint64Array.from(names, (name) => functions.addressOf(name)), memory: names },
    { addresses: BigUint64Array.from(values.values(), (address) => address ?? 0n), memory: [] },
  ];
}

/** One for all runs, for good: ONNX Runtime's thread is still inside it when a run's promise is settled. */
function callbackOf(environment: OrtEnvironment): Handle {
  const known = callbacks.get(environment);
  if (known !== undefined) return known;
  const made = environment.functions.registerRunEnded((data, _outputs, _count, status) => {
    const ended = data === null ? undefined : running.get(data);
    if (ended === undefined || data === null) return;
    running.delete(data);
    ended.end(status);
  });
  callbacks.set(environment, made);
  return made;
}
