/**
 * UniPC (arXiv 2302.04867): a multistep predictor, and a corrector that takes the last step again with the newest output.
 * Source: diffusers schedulers/scheduling_unipc_multistep.py, UniPCMultistepScheduler.
 */
import { solveLinear } from '../lib/solve-linear.ts';
import { type Level, levelOf } from './dpm-solver-update.ts';
import { multistepSchedule } from './multistep-schedule.ts';
import { cumulatedAlphas, requireSteps, sigmaOf, TRAINING_DEFAULTS, withDefaults } from './noise-schedule.ts';
import { firstPassOf, passAt, PassOrder } from './passes.ts';
import { variancePreserving } from './prediction.ts';
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
import { PLAIN_SPACING } from './sigma-schedules.ts';
import { THRESHOLD_DEFAULTS, thresholded } from './thresholding.ts';
import { FLOW_OFF, sigmaKey, sigmaSpacingKeys, thresholdingKeys, trainedRules } from './training-rules.ts';

const f32 = Math.fround;

const DEFAULTS = {
  ...TRAINING_DEFAULTS,
  ...PLAIN_SPACING,
  ...THRESHOLD_DEFAULTS,
  solver_order: 2,
  prediction_type: 'epsilon',
  predict_x0: true,
  solver_type: 'bh2',
  lower_order_final: true,
  disable_corrector: [] as readonly number[],
  timestep_spacing: 'linspace',
  steps_offset: 0,
  final_sigmas_type: 'zero',
  rescale_betas_zero_snr: false,
  sigma_min: null as number | null,
  sigma_max: null as number | null,
};

/** From one level to the next, with outputs known at the levels behind. */
interface Update {
  readonly from: Float32Array;
  /** Where the update leads. */
  readonly target: Level;
  /** Where `outputs` were made, newest first: at least `order`. */
  readonly levels: readonly Level[];
  readonly outputs: readonly Float32Array[];
  readonly order: number;
  /** The corrector's: the output at the target. */
  readonly newest?: Float32Array;
}

class UniPCMultistepScheduler implements Scheduler {
  readonly passes: readonly SchedulerPass[];
  readonly initNoiseSigma = 1;
  readonly #settings: typeof DEFAULTS;
  /** One more than there are passes. */
  readonly #levels: readonly Level[];
  readonly #order = new PassOrder();
  /** Converted outputs of the network, newest first, at most `solver_order`. */
  #outputs: Float32Array[] = [];
  #last: { readonly sample: Float32Array; readonly order: number } | undefined;

  constructor(config: SchedulerConfig, { steps }: SchedulerOptions) {
    const settings = withDefaults(DEFAULTS, config);
    requireSteps(steps, 1, settings.num_train_timesteps - (settings.timestep_spacing === 'trailing' ? 0 : 1));
    this.#settings = settings;
    const trained = cumulatedAlphas(settings, {
      rescaleZeroSnr: settings.rescale_betas_zero_snr,
      keepLastPositive: true,
    }).map(sigmaOf);
    const { timesteps, sigmas, lowest } = multistepSchedule(settings, trained, steps);
    this.passes = timesteps.map((timestep, pass) => ({ timestep, sigma: f32(sigmas[pass] as number) }));
    const last = settings.final_sigmas_type === 'sigma_min' ? f32(lowest) : 0;
    this.#levels = [...this.passes.map(({ sigma }) => sigma), last].map(levelOf);
  }

  firstPass(strength: number): number {
    return firstPassOf(strength, this.passes.length);
  }

  scaleModelInput(sample: Float32Array): Float32Array {
    return sample;
  }

  step({ modelOutput, sample, pass }: SchedulerStep): SchedulerStepResult {
    passAt(this.passes, pass);
    const count = this.#order.enter(pass);
    const { solver_order: most, lower_order_final: lowerOrderFinal, predict_x0: isOfImage } = this.#settings;
    const converted = this.#converted(sample, modelOutput, this.#levels[pass] as Level);
    const corrected = this.#corrected(sample, converted, pass);
    this.#outputs = [converted, ...this.#outputs].slice(0, most);
    const order = Math.min(lowerOrderFinal ? Math.min(most, this.passes.length - pass) : most, count + 1);
    this.#last = { sample: corrected, order };
    const result = this.#update({
      from: corrected,
      target: this.#levels[pass + 1] as Level,
      levels: this.#levelsBefore(pass, order),
      outputs: this.#outputs,
      order,
    });
    return isOfImage ? { sample: result, original: converted } : { sample: result };
  }

  addNoise({ original, noise, pass }: NoisedSample): Float32Array {
    passAt(this.passes, pass);
    const { alpha, sigma } = this.#levels[pass] as Level;
    return original.map((value, index) => f32(alpha * value) + f32(sigma * (noise[index] as number)));
  }

  /** The predicted image or the predicted noise, as the method needs it. */
  #converted(sample: Float32Array, modelOutput: Float32Array, { alpha, sigma }: Level): Float32Array {
    const { predict_x0: isOfImage, prediction_type: type } = this.#settings;
    const prediction = variancePreserving(type, alpha, sigma);
    const convert = isOfImage ? prediction.original : prediction.noise;
    const converted = new Float32Array(sample.length);
    for (let index = 0; index < converted.length; index++)
      converted[index] = convert(sample[index] as number, modelOutput[index] as number);
    return isOfImage ? thresholded(converted, this.#settings) : converted;
  }

  /** The sample of the step before, made again with the output that is known now. */
  #corrected(sample: Float32Array, newest: Float32Array, pass: number): Float32Array {
    if (this.#last === undefined || this.#settings.disable_corrector.includes(pass - 1)) return sample;
    const { sample: from, order } = this.#last;
    const levels = this.#levelsBefore(pass - 1, order);
    return this.#update({ from, target: this.#levels[pass] as Level, levels, outputs: this.#outputs, order, newest });
  }

  /** Newest first. */
  #levelsBefore(pass: number, count: number): Level[] {
    return this.#levels.slice(pass + 1 - count, pass + 1).toReversed();
  }

  #update({ from, target, levels, outputs, order, newest }: Update): Float32Array {
    const { predict_x0: isOfImage, solver_type: solver } = this.#settings;
    const here = levels[0] as Level;
    const h = target.lambda - here.lambda;
    const step = isOfImage ? -h : h;
    const growth = Math.expm1(step);
    const scale = solver === 'bh1' ? step : growth;
    const ratios = levels.slice(1).map((level) => (level.lambda - here.lambda) / h);
    const weights = solverWeights({ ratios, step, growth, scale, isCorrector: newest !== undefined });
    const keep = isOfImage ? f32(target.sigma / here.sigma) : f32(target.alpha / here.alpha);
    const factor = isOfImage ? target.alpha : target.sigma;
    const first = outputs[0] as Float32Array;
    const updated = new Float32Array(from.length);
    for (let index = 0; index < updated.length; index++) {
      const base = first[index] as number;
      let slopes = 0;
      for (let place = 0; place < ratios.length; place++) {
        const difference = ((outputs[place + 1] as Float32Array)[index] as number) - base;
        slopes += ((weights[place] as number) * difference) / (ratios[place] as number);
      }
      const ofNewest = newest === undefined ? 0 : (weights[order - 1] as number) * ((newest[index] as number) - base);
      updated[index] = keep * (from[index] as number) - factor * growth * base - factor * scale * (slopes + ofNewest);
    }
    return updated;
  }
}

interface Equations {
  /** Distances of the older outputs, in steps. */
  readonly ratios: readonly number[];
  /** The step's distance in λ, with the method's sign. */
  readonly step: number;
  /** e^step − 1 */
  readonly growth: number;
  /** B(h) of the paper. */
  readonly scale: number;
  readonly isCorrector: boolean;
}

/** The paper's ρ: of the older outputs, and behind them of the newest one for a corrector. */
function solverWeights({ ratios, step, growth, scale, isCorrector }: Equations): readonly number[] {
  const order = ratios.length + 1;
  if (isCorrector ? order === 1 : order === 2) return [0.5];
  if (order === 1) return [];
  const places = [...ratios, 1];
  const size = isCorrector ? order : order - 1;
  const right: number[] = [];
  let phi = growth / step - 1;
  let factorial = 1;
  for (let row = 1; row <= size; row++) {
    right.push((phi * factorial) / scale);
    factorial *= row + 1;
    phi = phi / step - 1 / factorial;
  }
  const matrix = right.map((_, power) => places.slice(0, size).map((place) => place ** power));
  return solveLinear(matrix, right);
}

/** diffusers ends in NaN: the last step goes to an infinite λ. */
function endsAtInfinity(config: SchedulerConfig): string | undefined {
  const settings = withDefaults(DEFAULTS, config);
  if (settings.final_sigmas_type !== 'zero') return undefined;
  const fault = Object.entries({
    '"predict_x0" is false': !settings.predict_x0,
    '"solver_type" is "bh1"': settings.solver_type === 'bh1',
    '"lower_order_final" is false': !settings.lower_order_final && settings.solver_order > 1,
  }).find(([, isSo]) => isSo)?.[0];
  if (fault === undefined) return undefined;
  return `${fault}, which "final_sigmas_type" "zero" does not allow; allowed: "sigma_min"`;
}

export const UNIPC: SchedulerClass = {
  className: 'UniPCMultistepScheduler',
  rules: trainedRules({
    keys: (z) => ({
      ...sigmaSpacingKeys(z),
      ...thresholdingKeys(z),
      solver_order: z.int().min(1).max(6),
      predict_x0: z.boolean(),
      solver_type: z.enum(['bh1', 'bh2', 'midpoint', 'heun', 'logrho']),
      lower_order_final: z.boolean(),
      disable_corrector: z.array(z.int()).max(1000),
      final_sigmas_type: z.enum(['zero', 'sigma_min']),
      rescale_betas_zero_snr: z.boolean(),
      sigma_min: sigmaKey(z),
      sigma_max: sigmaKey(z),
    }),
    onlyDefault: { ...FLOW_OFF, solver_p: [null], shift_terminal: [null] },
    contradiction: endsAtInfinity,
  }),
  names: [
    { name: 'unipc', settings: {}, sampler: 'UniPC' },
    { name: 'unipc_bh2', settings: { solver_type: 'bh2' } },
  ],
  scheduleTypes: ['karras', 'exponential', 'beta', 'sgm_uniform', 'normal'],
  create: (config, options) => new UniPCMultistepScheduler(config, options),
};
