/**
 * DPM-Solver and DPM-Solver++ of orders 1 to 3, multistep (arXiv 2206.00927, 2211.01095), with or without Karras sigmas.
 * Source: diffusers schedulers/scheduling_dpmsolver_multistep.py, DPMSolverMultistepScheduler.
 */
import { Text2ImgError } from '../errors/text2img-error.ts';
import {
  cumulatedAlphas,
  interpolate,
  karrasSigmas,
  leadingTimesteps,
  numpyLinspace,
  requireSteps,
  roundHalfEven,
  timestepOfSigma,
  TRAINING_DEFAULTS,
  trailingTimesteps,
  trainingSigmas,
  withDefaults,
} from './noise-schedule.ts';
import type { Scheduler, SchedulerStep } from './scheduler.ts';

const f32 = Math.fround;

const DEFAULTS = {
  ...TRAINING_DEFAULTS,
  solver_order: 2,
  prediction_type: 'epsilon',
  algorithm_type: 'dpmsolver++',
  solver_type: 'midpoint',
  lower_order_final: true,
  euler_at_final: false,
  use_karras_sigmas: false as boolean | null,
  final_sigmas_type: 'zero',
  lambda_min_clipped: Number.NEGATIVE_INFINITY as number | string | null,
  timestep_spacing: 'linspace',
  steps_offset: 0,
  rescale_betas_zero_snr: false,
};

/** Below this many steps the last ones are taken with a lower order. */
const FEW_STEPS = 15;

/** Signal, noise and half the log signal-to-noise ratio at a sigma. */
interface Level {
  readonly alpha: number;
  readonly sigma: number;
  readonly lambda: number;
}

export class DPMSolverMultistepScheduler implements Scheduler {
  readonly timesteps: readonly number[];
  readonly initNoiseSigma = 1;
  readonly #settings: typeof DEFAULTS;
  readonly #isPlusPlus: boolean;
  /** One more than there are steps. */
  readonly #levels: readonly Level[];
  /** Converted outputs of the network, newest first, at most `solver_order`. */
  #outputs: Float32Array[] = [];
  #index = 0;

  /** @throws `invalid_parameter`, `unsupported_config` */
  constructor(config: Readonly<Record<string, unknown>>, numInferenceSteps: number) {
    const settings = withDefaults(DEFAULTS, config);
    // The other spacings take one point more than steps; with as many steps as were trained two would coincide, and the method divides by their distance.
    requireSteps(
      numInferenceSteps,
      1,
      settings.num_train_timesteps - (settings.timestep_spacing === 'trailing' ? 0 : 1),
    );
    this.#settings = settings;
    this.#isPlusPlus = settings.algorithm_type === 'dpmsolver++';
    if (!this.#isPlusPlus && settings.final_sigmas_type === 'zero') {
      throw new Text2ImgError(
        'unsupported_config',
        'the scheduler’s "final_sigmas_type" is "zero", which "algorithm_type" "dpmsolver" does not allow; allowed: sigma_min.',
      );
    }
    const alphas = cumulatedAlphas(settings, {
      rescaleZeroSnr: settings.rescale_betas_zero_snr,
      keepLastPositive: true,
    });
    const trained = trainingSigmas(alphas);
    let timesteps = spreadTimesteps(settings, alphas, numInferenceSteps);
    let sigmas = timesteps.map((timestep) => interpolate(trained, timestep));
    if (settings.use_karras_sigmas === true) {
      sigmas = karrasSigmas(trained[0] as number, trained.at(-1) as number, numInferenceSteps);
      const toTimestep = settings.beta_schedule === 'squaredcos_cap_v2' ? Math.trunc : roundHalfEven;
      timesteps = sigmas.map((sigma) => toTimestep(timestepOfSigma(sigma, trained)));
    }
    this.timesteps = timesteps;
    const last = settings.final_sigmas_type === 'sigma_min' ? (trained[0] as number) : 0;
    this.#levels = [...sigmas, last].map((sigma) => levelOf(f32(sigma)));
  }

  scaleModelInput(sample: Float32Array): Float32Array {
    return sample;
  }

  step({ modelOutput, sample }: SchedulerStep): Float32Array {
    const { solver_order: order } = this.#settings;
    this.#outputs = [this.#convert(modelOutput, sample), ...this.#outputs].slice(0, order);
    const result = this.#update(sample, Math.min(this.#outputs.length, this.#allowedOrder()));
    this.#index++;
    return result;
  }

  #allowedOrder(): number {
    const {
      solver_order: order,
      euler_at_final: eulerAtFinal,
      lower_order_final: lowerOrderFinal,
      final_sigmas_type: finalSigmas,
    } = this.#settings;
    const steps = this.timesteps.length;
    const lowerNearEnd = lowerOrderFinal && steps < FEW_STEPS;
    if (this.#index === steps - 1 && (eulerAtFinal || lowerNearEnd || finalSigmas === 'zero')) return 1;
    return this.#index === steps - 2 && lowerNearEnd ? Math.min(order, 2) : order;
  }

  /** The network's output as what the solver integrates: the finished picture (++), or the noise. */
  #convert(output: Float32Array, sample: Float32Array): Float32Array {
    const { alpha, sigma } = this.#levels[this.#index] as Level;
    const prediction = this.#settings.prediction_type;
    const pair = (convert: (value: number, raw: number) => number): Float32Array =>
      sample.map((value, index) => convert(value, output[index] as number));
    if (this.#isPlusPlus) {
      if (prediction === 'sample') return output;
      if (prediction === 'epsilon') return pair((value, raw) => f32(value - f32(sigma * raw)) / alpha);
      return pair((value, raw) => f32(alpha * value) - f32(sigma * raw));
    }
    if (prediction === 'epsilon') return output;
    if (prediction === 'sample') return pair((value, raw) => f32(value - f32(alpha * raw)) / sigma);
    return pair((value, raw) => f32(alpha * raw) + f32(sigma * value));
  }

  #update(sample: Float32Array, order: number): Float32Array {
    const target = this.#levels[this.#index + 1] as Level;
    const here = this.#levels[this.#index] as Level;
    const h = f32(target.lambda - here.lambda);
    const weights = this.#outputWeights(target, h, order);
    const keep = this.#isPlusPlus ? f32(target.sigma / here.sigma) : f32(target.alpha / here.alpha);
    return sample.map((value, index) =>
      weights.reduce(
        (sum, weight, place) => sum + weight * ((this.#outputs[place] as Float32Array)[index] as number),
        keep * value,
      ),
    );
  }

  /** The weight of each known output, newest first: the paper's D0, D1, D2 multiplied out. */
  #outputWeights(target: Level, h: number, order: number): number[] {
    const sign = this.#isPlusPlus ? -1 : 1;
    const scale = this.#isPlusPlus ? target.alpha : target.sigma;
    const growth = Math.exp(sign * h) - 1;
    const first = -scale * growth;
    if (order === 1) return [first];
    const ratio = (back: number): number =>
      ((this.#levels[this.#index - back + 1] as Level).lambda - (this.#levels[this.#index - back] as Level).lambda) / h;
    const r0 = ratio(1);
    const slope = this.#isPlusPlus ? scale * (growth / h + 1) : -scale * (growth / h - 1);
    if (order === 2) {
      const second = (this.#settings.solver_type === 'heun' ? slope : -0.5 * scale * growth) / r0;
      return [first + second, -second];
    }
    const r1 = ratio(2);
    const curve = this.#isPlusPlus ? -scale * ((growth + h) / h ** 2 - 0.5) : -scale * ((growth - h) / h ** 2 - 0.5);
    const mixed = slope * (r0 / (r0 + r1)) + curve / (r0 + r1);
    const recent = (slope + mixed) / r0;
    const older = -mixed / r1;
    return [first + recent, older - recent, -older];
  }
}

function levelOf(noiseLevel: number): Level {
  const alpha = f32(1 / f32(Math.sqrt(f32(f32(noiseLevel * noiseLevel) + 1))));
  const sigma = f32(noiseLevel * alpha);
  return { alpha, sigma, lambda: f32(f32(Math.log(alpha)) - f32(Math.log(sigma))) };
}

function spreadTimesteps(settings: typeof DEFAULTS, alphas: Float32Array, count: number): number[] {
  const { num_train_timesteps: trained, timestep_spacing: spacing, steps_offset: offset } = settings;
  const last = trained - clippedTimesteps(alphas, settings.lambda_min_clipped);
  if (spacing === 'trailing') return trailingTimesteps(last, trained / count);
  if (spacing === 'leading') return leadingTimesteps(count + 1, Math.floor(last / (count + 1)), offset).slice(0, -1);
  return numpyLinspace(0, last - 1, count + 1)
    .map(roundHalfEven)
    .toReversed()
    .slice(0, -1);
}

/** How many of the noisiest timesteps lie below the smallest λ that is used (for cosine schedules, whose λ runs off at the end). */
function clippedTimesteps(alphas: Float32Array, lambdaMin: number | string | null): number {
  if (typeof lambdaMin !== 'number') return 0;
  const upwards = alphas
    .map((alpha) => f32(Math.log(f32(Math.sqrt(alpha)))) - f32(Math.log(f32(Math.sqrt(f32(1 - alpha))))))
    .toReversed();
  const index = upwards.findIndex((lambda) => lambda >= lambdaMin);
  return index === -1 ? upwards.length : index;
}
