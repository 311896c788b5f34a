/** Euler's method on the probability-flow ODE (arXiv 2206.00364, algorithm 2 without churn). Source: diffusers schedulers/scheduling_euler_discrete.py, EulerDiscreteScheduler. */
import {
  cumulatedAlphas,
  interpolate,
  karrasSigmas,
  leadingTimesteps,
  numpyLinspace,
  requireSteps,
  timestepOfSigma,
  torchLinspace,
  TRAINING_DEFAULTS,
  trailingTimesteps,
  trainingSigmas,
  withDefaults,
} from './noise-schedule.ts';
import type { Scheduler, SchedulerStep } from './scheduler.ts';

const f32 = Math.fround;

const DEFAULTS = {
  ...TRAINING_DEFAULTS,
  prediction_type: 'epsilon',
  interpolation_type: 'linear',
  use_karras_sigmas: false as boolean | null,
  sigma_min: null as number | null,
  sigma_max: null as number | null,
  timestep_spacing: 'linspace',
  steps_offset: 0,
  rescale_betas_zero_snr: false,
  final_sigmas_type: 'zero',
};

export class EulerDiscreteScheduler implements Scheduler {
  readonly timesteps: readonly number[];
  readonly initNoiseSigma: number;
  readonly #predictionType: string;
  /** One more than there are steps. */
  readonly #sigmas: Float32Array;
  #index = 0;

  /** @throws `invalid_parameter` */
  constructor(config: Readonly<Record<string, unknown>>, numInferenceSteps: number) {
    const settings = withDefaults(DEFAULTS, config);
    requireSteps(numInferenceSteps, 1, settings.num_train_timesteps);
    this.#predictionType = settings.prediction_type;
    const alphas = cumulatedAlphas(settings, {
      rescaleZeroSnr: settings.rescale_betas_zero_snr,
      keepLastPositive: true,
    });
    const trained = trainingSigmas(alphas);
    const spread = spreadTimesteps(settings, numInferenceSteps);
    let sigmas =
      settings.interpolation_type === 'log_linear'
        ? logLinearSigmas(trained, numInferenceSteps)
        : spread.map((position) => interpolate(trained, position));
    if (settings.use_karras_sigmas === true) {
      sigmas = karrasSigmas(
        settings.sigma_min ?? (sigmas.at(-1) as number),
        settings.sigma_max ?? (sigmas[0] as number),
        numInferenceSteps,
      );
      this.timesteps = sigmas.map((sigma) => f32(timestepOfSigma(sigma, trained)));
    } else {
      this.timesteps = spread;
    }
    this.#sigmas = Float32Array.from([
      ...sigmas,
      settings.final_sigmas_type === 'sigma_min' ? (trained[0] as number) : 0,
    ]);
    const largest = this.#sigmas.reduce((a, b) => Math.max(a, b));
    this.initNoiseSigma =
      settings.timestep_spacing === 'leading' ? f32(Math.sqrt(f32(f32(largest * largest) + 1))) : largest;
  }

  scaleModelInput(sample: Float32Array): Float32Array {
    const sigma = this.#sigmas[this.#index] as number;
    const divisor = f32(Math.sqrt(f32(f32(sigma * sigma) + 1)));
    return sample.map((value) => value / divisor);
  }

  step({ modelOutput, sample }: SchedulerStep): Float32Array {
    const sigma = this.#sigmas[this.#index] as number;
    const difference = f32((this.#sigmas[this.#index + 1] as number) - sigma);
    this.#index++;
    const original = originalSample(this.#predictionType, sigma);
    return sample.map((value, index) => {
      const derivative = f32(f32(value - original(value, modelOutput[index] as number)) / sigma);
      return value + f32(derivative * difference);
    });
  }
}

function spreadTimesteps(settings: typeof DEFAULTS, count: number): number[] {
  const { num_train_timesteps: trained, timestep_spacing: spacing } = settings;
  if (spacing === 'trailing') return trailingTimesteps(trained, trained / count);
  if (spacing === 'leading') return leadingTimesteps(count, Math.floor(trained / count), settings.steps_offset);
  return numpyLinspace(0, trained - 1, count)
    .map(f32)
    .toReversed();
}

function logLinearSigmas(trained: Float32Array, count: number): number[] {
  const [smallest, largest] = [f32(Math.log(trained[0] as number)), f32(Math.log(trained.at(-1) as number))];
  return Array.from(torchLinspace(largest, smallest, count + 1).map(Math.exp));
}

/** What the network's output says of the finished picture at this noise level. */
function originalSample(predictionType: string, sigma: number): (value: number, output: number) => number {
  if (predictionType === 'sample') return (_, output) => output;
  if (predictionType === 'epsilon') return (value, output) => f32(value - f32(sigma * output));
  const squared = f32(f32(sigma * sigma) + 1);
  const factor = f32(-sigma / f32(Math.sqrt(squared)));
  return (value, output) => f32(f32(output * factor) + f32(value / squared));
}
