/** Session options of ONNX Runtime, as the Node binding gets them in `onnxruntime/session.ts`. */
import { LOG_LEVEL, OPTIMIZATION } from './bindings.ts';
import { type CudaSettings, cudaOptionsFor, makeCudaOptions } from './cuda-options.ts';
import type { OrtEnvironment } from './environment.ts';
import type { OwnedHandle } from './handle.ts';

export interface SessionSettings {
  readonly threads: number;
  /** Threads wait for work by spinning. */
  readonly spin: boolean;
  /** Absent: the CPU. */
  readonly cuda?: CudaSettings;
}

export interface SessionFiles {
  /** Without the prefix `session.`. */
  readonly entries: Readonly<Record<string, string>>;
  /** Where the optimised graph goes. */
  readonly optimizedPath?: string;
  /** The graph was optimised before. */
  readonly isOptimized?: boolean;
}

/** @throws `inference_failed` */
export function makeSessionOptions(
  environment: OrtEnvironment,
  { threads, spin, cuda }: SessionSettings,
  { entries, optimizedPath, isOptimized = false }: SessionFiles,
): OwnedHandle {
  const { functions } = environment;
  const made = environment.own((box) => functions.createSessionOptions(box), functions.releaseSessionOptions);
  const set = (call: (options: bigint) => bigint | null): void => environment.check(call(made.address));
  try {
    set((options) => functions.setLogLevel(options, LOG_LEVEL.error));
    set((options) => functions.setOptimization(options, isOptimized ? OPTIMIZATION.none : OPTIMIZATION.all));
    // Why: `onnxruntime/session.ts`.
    set((options) => functions.disableMemoryPattern(options));
    set((options) => functions.setThreads(options, threadsOf(threads, cuda)));
    const all = { ...entries, 'intra_op.allow_spinning': spin && cuda === undefined ? '1' : '0' };
    for (const [key, value] of Object.entries(all))
      set((options) => functions.addSessionEntry(options, `session.${key}`, value));
    if (optimizedPath !== undefined) set((options) => functions.setOptimizedModelPath(options, optimizedPath));
    if (cuda !== undefined) {
      if (cuda.deterministic) set((options) => functions.setDeterministic(options, true));
      using provider = makeCudaOptions(environment, cudaOptionsFor(cuda));
      set((options) => functions.appendCuda(options, provider.address));
    }
    return made;
  } catch (error) {
    made[Symbol.dispose]();
    throw error;
  }
}

/**
 * CUDA keeps things for each thread, and a recorded run belongs to the thread that recorded it (`cuda_graph.cc`). `RunAsync` runs on a thread of the
 * session's pool. A pool of two has one thread beside the caller's, so it is always the same one.
 */
function threadsOf(threads: number, cuda: CudaSettings | undefined): number {
  return cuda === undefined ? threads : 2;
}
