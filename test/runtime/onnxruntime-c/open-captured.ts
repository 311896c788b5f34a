/** A session on the CPU whose runs have places of their own for each shape, as on CUDA. */
import type { BuiltGraph } from '../../../src/onnx/graph.ts';
import type { Tensors } from '../../../src/runtime/contract.ts';
import { CapturedRuns } from '../../../src/runtime/onnxruntime-c/captured-runs.ts';
import { DeviceMemory } from '../../../src/runtime/onnxruntime-c/device-memory.ts';
import { openEnvironment } from '../../../src/runtime/onnxruntime-c/environment.ts';
import type { OpenSession } from '../../../src/runtime/onnxruntime-c/run.ts';
import { makeSessionOptions } from '../../../src/runtime/onnxruntime-c/session-options.ts';
import { weightsEntry } from '../../../src/runtime/onnxruntime/session-entries.ts';

interface Captured extends Disposable {
  readonly runs: CapturedRuns;
  readonly run: (inputs: Tensors, keep?: readonly string[], signal?: AbortSignal) => Promise<Tensors>;
}

/** @param most shapes with places */
export async function openCaptured(graph: BuiltGraph, outputs: readonly string[], most: number): Promise<Captured> {
  const environment = await openEnvironment();
  const { functions } = environment;
  const memory = new DeviceMemory(environment, 'cpu', undefined);
  // One thread beside the caller's, as with CUDA.
  using options = makeSessionOptions(environment, { threads: 2, spin: false }, { entries: weightsEntry(graph) });
  const handle = environment.own(
    (box) =>
      functions.createSessionFromArray(environment.handle, graph.model, graph.model.length, options.address, box),
    functions.releaseSession,
  );
  const session: OpenSession = { environment, handle, outputs, place: memory, isPooled: true };
  const runs = new CapturedRuns(session, memory, most);
  return {
    runs,
    run: (inputs, keep = [], signal) => runs.run({ inputs, keep, signal }),
    [Symbol.dispose]: () => {
      runs[Symbol.dispose]();
      handle[Symbol.dispose]();
    },
  };
}
