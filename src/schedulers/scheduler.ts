/**
 * The contract of a noise scheduler. One file per scheduler keeps it, named and behaving as the class of diffusers: arithmetic, configuration keys
 * and names. All pass the suite in `test/schedulers/scheduler-conformance.ts`.
 * A scheduler works element by element, so a batch is one flat array and an image never depends on its neighbours. Why a pass has a number:
 * `docs/decisions/scheduler-parity.md`.
 */
import type { z } from 'zod';
import type { ConfigRules } from '../lib/config-rules.ts';
import type { NoiseSource } from '../noise/noise-source.ts';
import type { ScheduleType } from './schedule-types.ts';

/** `scheduler_config.json`, its keys as diffusers writes them. */
export type SchedulerConfig = Readonly<Record<string, unknown>>;

/** One call of the denoising network. */
export interface SchedulerPass {
  /** The network's input; fractional for some schedulers. Two passes may have the same. */
  readonly timestep: number;
  /** Noise relative to signal; Infinity where training ends without any signal. */
  readonly sigma: number;
}

export interface SchedulerStep {
  /** The network's output, after guidance. */
  readonly modelOutput: Float32Array;
  readonly sample: Float32Array;
  /** Index into `passes`. */
  readonly pass: number;
  readonly noise: NoiseSource;
}

export interface SchedulerStepResult {
  /** The sample that the next pass begins with. */
  readonly sample: Float32Array;
  /** The network's estimate of the image, where the method knows it. */
  readonly original?: Float32Array;
}

export interface NoisedSample {
  readonly original: Float32Array;
  /** Standard normals of the same size. */
  readonly noise: Float32Array;
  /** Index into `passes`. */
  readonly pass: number;
}

/**
 * One run over the passes, for one image or one batch. It begins at a pass that `firstPass` gives and goes on one by one. A method that looks back at earlier passes
 * refuses any other order with `internal`; the others take every pass at any time.
 */
export interface Scheduler {
  /** In the order of the loop. */
  readonly passes: readonly SchedulerPass[];
  /** The first latents are multiplied with this. */
  readonly initNoiseSigma: number;
  /** The sigmas that `noise.between` may be asked for. Absent: only `noise.next` is called. */
  readonly noiseInterval?: { readonly from: number; readonly to: number };
  /**
   * Where image-to-image begins. @param strength above 0, at most 1: how much of the image is made anew @throws `invalid_parameter` when no step is
   * left
   */
  firstPass(strength: number): number;
  /** The network's input; may return `sample` itself. */
  scaleModelInput(sample: Float32Array, pass: number): Float32Array;
  /** Never changes its inputs. */
  step(step: SchedulerStep): SchedulerStepResult;
  /** The original with the noise that `pass` expects. */
  addNoise(noised: NoisedSample): Float32Array;
}

export interface SchedulerOptions {
  /** The number that the user asks for, or of the `timesteps` or `sigmas` below; a method may need more passes. */
  readonly steps: number;
  /** By hand: whole, strictly descending, below the number that was trained. Only for a class that takes them. */
  readonly timesteps?: readonly number[];
  /** By hand: strictly descending, above 0; the final 0 is not among them. Only for a class that takes them. */
  readonly sigmas?: readonly number[];
  /** From 0 (none, and absent) to 1: how much fresh noise a step adds. Only for a class that takes it. */
  readonly eta?: number;
}

/** Arguments beside the number of steps. A class that does not take one refuses it by name, as its form in diffusers has none. */
export type SchedulerArgument = 'timesteps' | 'sigmas' | 'eta';

/** A short name and what it means. */
export interface SchedulerName {
  /** As on the command line and in a document. */
  readonly name: string;
  /** Configuration keys that the name decides; all others are the checkpoint's. */
  readonly settings: SchedulerConfig;
  /** Its name in the parameters text of a PNG, as in AUTOMATIC1111's web UI. */
  readonly sampler?: string;
  /** `Schedule type` of the web UI; older versions of it write both as one name. */
  readonly scheduleType?: string;
  /** How ComfyUI and others call it, where that is not its name with other dashes or spaces. */
  readonly aliases?: readonly string[];
  /** The schedule that a web UI takes where nobody asks for one. Here it is the model's own, so the log says so. */
  readonly automatic?: ScheduleType;
}

/** The library that checks configurations. */
export type Zod = typeof z;

/** The exports of a scheduler's file; `registry.ts` lists them. */
export interface SchedulerClass {
  /** As in diffusers and in `model_index.json`. */
  readonly className: string;
  /** Which keys of `scheduler_config.json` are read. zod is a parameter, so that who needs the names alone does not load it. */
  readonly rules: (z: Zod) => ConfigRules<SchedulerConfig>;
  /** In a PNG the first one stands for the class too. */
  readonly names: readonly SchedulerName[];
  /** Absent: none. `create-scheduler.ts` refuses the others, and checks the values of those. */
  readonly takes?: readonly SchedulerArgument[];
  /** The schedules that a request may ask for: those that the class's form in diffusers can do. Absent: none. */
  readonly scheduleTypes?: readonly ScheduleType[];
  /**
   * @param config as `rules` allow it @param options checked as `takes` says
   * @throws `invalid_parameter` for a number of steps that cannot be
   */
  readonly create: (config: SchedulerConfig, options: SchedulerOptions) => Scheduler;
}
