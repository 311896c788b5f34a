/** The contract of the engine pool: a worker asks for a slot on an engine, claims jobs for it, and generates. How many engines there are is the pool's. */
import type { Text2ImgError } from '../errors/text2img-error.ts';
import type { ModelFacts } from '../job/model-facts.ts';
import type { EngineJob, JobEvents, ResultsOf } from './engine-job.ts';

export interface NextSlotOptions {
  /** How long before an engine is idle its next slot is given, so that jobs can be claimed meanwhile. */
  readonly leadMs: number;
  readonly signal: AbortSignal;
}

/** A model that an engine can generate with. */
export interface PoolModel {
  /** The name under which documents ask for it. */
  readonly id: string;
  /** Documents that name no model are for it. */
  readonly takesUnnamed: boolean;
  /** Undefined until it was loaded for the first time. */
  readonly facts: ModelFacts | undefined;
}

export interface EnginePool extends AsyncDisposable {
  /** How many engines there are, whether or not they can be used. */
  readonly size: number;
  /**
   * Waits for an engine that is idle, or will be within `leadMs` by the estimate of its jobs. Undefined: the signal came first.
   * @throws why none can be had, when no engine of the pool can be used
   */
  nextSlot(options: NextSlotOptions): Promise<EngineSlot | undefined>;
  /** Those that at least one engine can generate with now, as far as is known, in the order that the operator gave. */
  readonly models: readonly PoolModel[];
  /** The name of the one that the first engine has loaded; undefined: none. */
  readonly loadedModel: string | undefined;
  /** Models that no engine can load now, with the reason. Each is tried again for its documents after a while. */
  readonly modelsOut: readonly ModelOutage[];
  /** Why no engine can be had; undefined while one can, as far as is known. */
  readonly refusal: Text2ImgError | undefined;
  /** Tries the engines that cannot be used. @throws the reason, when none can be used after that */
  probe(): Promise<void>;
  /** The job ends with `cancelled` at its next step. It may have ended before. */
  cancel(jobId: string): void;
  /** Previews of this job are wanted from now on, or no longer. */
  watch(jobId: string, on: boolean): void;
  /** Until the job's last step; undefined before there are steps to measure. */
  remainingMs(jobId: string): number | undefined;
  /** Ends every engine at once, even a busy one; all jobs end with `reason`. */
  kill(reason: Text2ImgError): void;
}

export interface ModelOutage {
  readonly id: string;
  readonly takesUnnamed: boolean;
  readonly error: Text2ImgError;
  readonly sinceMs: number;
}

/** The right to use an engine once: for the jobs that are claimed for it. It is released when the end of each of them is decided, or when none was claimed. */
export interface EngineSlot extends Disposable {
  /** Which engine of the pool: what it does wrong counts against this one alone. */
  readonly engine: string;
  /** The loaded model; undefined: none. */
  readonly loaded: PoolModel | undefined;
  /** The loaded model first, then those that the engine can swap in: what to claim for. A model that does not load is left out until its next try. */
  readonly models: readonly PoolModel[];
  /** How many images of the model's default size fit into one pass, after what ran out of memory before. One for a model that was never loaded. */
  maxImages(modelId: string): number;
  /** Waits until the slot before this one is released. False: the signal came first, or the engine cannot be used after that. */
  turn(signal: AbortSignal): Promise<boolean>;
  /**
   * In the slot's turn: loads the model where another one is loaded, or none.
   * @returns why the engine cannot generate with it; undefined: it can @throws never
   */
  load(modelId: string): Promise<Text2ImgError | undefined>;
  /** With the loaded model, in the slot's turn. If a shared pass ran out of memory, its jobs are generated again in passes of half the size, before their promises end. */
  generate<const Jobs extends readonly EngineJob[]>(jobs: Jobs, events?: JobEvents): ResultsOf<Jobs>;
  /** Generates one step at the model's default size. @returns why the engine cannot be used from now on; undefined: it can @throws never */
  probe(): Promise<Text2ImgError | undefined>;
  /** May be called twice. */
  release(): void;
}
