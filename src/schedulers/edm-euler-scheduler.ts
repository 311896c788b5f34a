/** Euler's method of EDM without churn (arXiv 2206.00364, algorithm 2). Source: diffusers schedulers/scheduling_edm_euler.py, EDMEulerScheduler. */
import { numpyLinspace } from '../lib/float32.ts';
import { EDM_DEFAULTS, edmInputFactor, edmOriginal, edmPasses, edmRules } from './edm-preconditioning.ts';
import { requireSteps, withDefaults } from './noise-schedule.ts';
import { firstPassOf, passAt } from './passes.ts';
import type {
  NoisedSample,
  Scheduler,
  SchedulerClass,
  SchedulerConfig,
  SchedulerOptions,
  SchedulerPass,
  SchedulerStep,
  SchedulerStepResult,
} from './scheduler.ts';

const f32 = Math.fround;

class EDMEulerScheduler implements Scheduler {
  readonly passes: readonly SchedulerPass[];
  readonly initNoiseSigma: number;
  readonly #settings: typeof EDM_DEFAULTS;
  /** Behind the last pass. */
  readonly #finalSigma: number;

  constructor(config: SchedulerConfig, { steps }: SchedulerOptions) {
    this.#settings = withDefaults(EDM_DEFAULTS, config);
    requireSteps(steps, 1, this.#settings.num_train_timesteps);
    this.passes = edmPasses(this.#settings, numpyLinspace(0, 1, steps));
    this.#finalSigma = this.#settings.final_sigmas_type === 'sigma_min' ? (this.passes.at(-1)?.sigma ?? 0) : 0;
    this.initNoiseSigma = Math.sqrt(this.#settings.sigma_max ** 2 + 1);
  }

  firstPass(strength: number): number {
    return firstPassOf(strength, this.passes.length);
  }

  scaleModelInput(sample: Float32Array, pass: number): Float32Array {
    const factor = edmInputFactor(this.#settings, passAt(this.passes, pass).sigma);
    return sample.map((value) => value * factor);
  }

  step({ modelOutput, sample, pass }: SchedulerStep): SchedulerStepResult {
    const { sigma } = passAt(this.passes, pass);
    const difference = f32((this.passes[pass + 1]?.sigma ?? this.#finalSigma) - sigma);
    const originalOf = edmOriginal(this.#settings, sigma);
    const original = sample.map((value, index) => originalOf(value, modelOutput[index] as number));
    const result = sample.map((value, index) => {
      const derivative = f32(f32(value - (original[index] as number)) / sigma);
      return value + f32(derivative * difference);
    });
    return { sample: result, original };
  }

  addNoise({ original, noise, pass }: NoisedSample): Float32Array {
    const { sigma } = passAt(this.passes, pass);
    return original.map((value, index) => value + f32((noise[index] as number) * sigma));
  }
}

export const EDM_EULER: SchedulerClass = {
  className: 'EDMEulerScheduler',
  rules: edmRules(),
  names: [{ name: 'edm_euler', settings: {}, sampler: 'EDM Euler' }],
  scheduleTypes: ['karras', 'exponential'],
  create: (config, options) => new EDMEulerScheduler(config, options),
};
