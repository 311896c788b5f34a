/**
 * The contract of a noise scheduler: one self-contained file per scheduler keeps it, named and behaving as the class of
 * diffusers; all pass the conformance suite in `test/schedulers/scheduler-conformance.ts`.
 * A scheduler works element by element, so a batch is one flat array and an image never depends on its neighbours.
 */

export interface SchedulerStep {
  /** The network's output, after guidance. */
  readonly modelOutput: Float32Array;
  /** One of `timesteps`. */
  readonly timestep: number;
  readonly sample: Float32Array;
  /** Fresh standard normals of the sample's size; ancestral schedulers draw at every step, the last one included. */
  readonly noise: () => Float32Array;
}

/** One run over the timesteps; holds the history that multistep methods need, so it serves one generation. */
export interface Scheduler {
  /** In the order in which the loop visits them. */
  readonly timesteps: readonly number[];
  /** What the first latents are multiplied with. */
  readonly initNoiseSigma: number;
  /** The network's input for `sample` at `timestep`; may return `sample` itself. */
  scaleModelInput(sample: Float32Array, timestep: number): Float32Array;
  /** The sample at the next timestep; never changes its inputs. */
  step(step: SchedulerStep): Float32Array;
}
