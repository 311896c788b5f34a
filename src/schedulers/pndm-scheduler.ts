/**
 * PNDM (arXiv 2202.09778): linear multistep, with or without the Runge-Kutta start. With `skip_prk_steps` the second timestep comes twice,
 * so n steps take n + 1 passes. Source: diffusers schedulers/scheduling_pndm.py, PNDMScheduler.
 */
import {
  cumulatedAlphas,
  leadingTimesteps,
  numpyLinspace,
  requireSteps,
  requireTrainedTimesteps,
  roundHalfEven,
  TRAINING_DEFAULTS,
  trailingTimesteps,
  withDefaults,
} from './noise-schedule.ts';
import type { Scheduler, SchedulerStep } from './scheduler.ts';

const f32 = Math.fround;

const DEFAULTS = {
  ...TRAINING_DEFAULTS,
  skip_prk_steps: false,
  set_alpha_to_one: false,
  prediction_type: 'epsilon',
  timestep_spacing: 'leading',
  steps_offset: 0,
};

/** How many timesteps the Runge-Kutta start covers. */
const ORDER = 4;

/** Newest first: the weights of the multistep formulas with 2, 3 and 4 known outputs. */
const MULTISTEP = [
  [3 / 2, -1 / 2],
  [23 / 12, -16 / 12, 5 / 12],
  [55 / 24, -59 / 24, 37 / 24, -9 / 24],
] as const;

/** Weights of the four outputs of one Runge-Kutta step. */
const RUNGE_KUTTA = [1 / 6, 1 / 3, 1 / 3, 1 / 6] as const;

export class PNDMScheduler implements Scheduler {
  readonly timesteps: readonly number[];
  readonly initNoiseSigma = 1;
  readonly #config: typeof DEFAULTS;
  readonly #alphas: Float32Array;
  readonly #stepSize: number;
  readonly #rungeKuttaTimesteps: readonly number[];
  #counter = 0;
  /** Outputs of the network, newest last, at most four. */
  #outputs: Float32Array[] = [];
  /** The sample that a Runge-Kutta or the repeated first step starts from. */
  #heldSample: Float32Array | undefined;
  #rungeKuttaSum: Float32Array | undefined;

  /** @throws `invalid_parameter` */
  constructor(config: Readonly<Record<string, unknown>>, numInferenceSteps: number) {
    this.#config = withDefaults(DEFAULTS, config);
    const { num_train_timesteps: trained, skip_prk_steps: skipRungeKutta } = this.#config;
    requireSteps(numInferenceSteps, skipRungeKutta ? 1 : ORDER, trained);
    this.#alphas = cumulatedAlphas(this.#config);
    this.#stepSize = Math.floor(trained / numInferenceSteps);
    const down = this.#spread(numInferenceSteps);
    requireTrainedTimesteps(down, trained);
    this.#rungeKuttaTimesteps = skipRungeKutta ? [] : this.#rungeKuttaSpread(down);
    this.timesteps = skipRungeKutta
      ? [...down.slice(0, 2), ...down.slice(1, 2), ...down.slice(2)]
      : [...this.#rungeKuttaTimesteps, ...down.slice(3)];
  }

  #spread(count: number): number[] {
    const { num_train_timesteps: trained, steps_offset: offset, timestep_spacing: spacing } = this.#config;
    if (spacing === 'linspace')
      return numpyLinspace(0, trained - 1, count)
        .map(roundHalfEven)
        .toReversed();
    if (spacing === 'trailing') return trailingTimesteps(trained, trained / count);
    return leadingTimesteps(count, this.#stepSize, offset);
  }

  /** Each of the first three steps looks at its start, twice at the middle and at its end. */
  #rungeKuttaSpread(down: readonly number[]): number[] {
    const half = Math.floor(this.#stepSize / 2);
    const up = down
      .slice(0, ORDER)
      .toReversed()
      .flatMap((timestep) => [timestep, timestep + half]);
    return up
      .slice(0, -1)
      .flatMap((timestep) => [timestep, timestep])
      .slice(1, -1)
      .toReversed();
  }

  scaleModelInput(sample: Float32Array): Float32Array {
    return sample;
  }

  step(step: SchedulerStep): Float32Array {
    const result =
      this.#counter < this.#rungeKuttaTimesteps.length ? this.#rungeKuttaStep(step) : this.#multistep(step);
    this.#counter++;
    return result;
  }

  #rungeKuttaStep({ modelOutput, timestep, sample }: SchedulerStep): Float32Array {
    const stage = this.#counter % 4;
    const previousTimestep = timestep - (this.#counter % 2 === 1 ? 0 : Math.floor(this.#stepSize / 2));
    if (stage === 0) {
      this.#outputs.push(modelOutput);
      this.#heldSample = sample;
      this.#rungeKuttaSum = new Float32Array(modelOutput.length);
    }
    const weight = RUNGE_KUTTA[stage] as number;
    const sum = (this.#rungeKuttaSum as Float32Array).map(
      (value, index) => value + f32(weight * (modelOutput[index] as number)),
    );
    this.#rungeKuttaSum = sum;
    const start = this.#rungeKuttaTimesteps[Math.floor(this.#counter / 4) * 4] as number;
    return this.#transfer(this.#heldSample ?? sample, stage === 3 ? sum : modelOutput, start, previousTimestep);
  }

  #multistep({ modelOutput, timestep, sample }: SchedulerStep): Float32Array {
    if (this.#counter === 1) {
      // The timestep comes a second time: the mean of both outputs makes the first step anew.
      const first = this.#outputs.at(-1) as Float32Array;
      const mean = modelOutput.map((value, index) => f32(value + (first[index] as number)) / 2);
      const held = this.#heldSample as Float32Array;
      this.#heldSample = undefined;
      return this.#transfer(held, mean, timestep + this.#stepSize, timestep);
    }
    this.#outputs = [...this.#outputs.slice(-3), modelOutput];
    if (this.#counter === 0) this.#heldSample = sample;
    return this.#transfer(sample, this.#combined(), timestep, timestep - this.#stepSize);
  }

  #combined(): Float32Array {
    const outputs = this.#outputs.toReversed();
    const newest = outputs[0] as Float32Array;
    const weights = MULTISTEP[outputs.length - 2];
    if (weights === undefined) return newest;
    return newest.map((_, index) =>
      outputs.reduce((sum, output, place) => sum + (weights[place] as number) * (output[index] as number), 0),
    );
  }

  /** Formula 9 of the paper: the sample at `timestep` carried over to `previousTimestep`. */
  // oxlint-disable-next-line max-params -- the formula's four quantities
  #transfer(sample: Float32Array, output: Float32Array, timestep: number, previousTimestep: number): Float32Array {
    const alpha = this.#alphas[timestep] as number;
    const previous =
      previousTimestep >= 0
        ? (this.#alphas[previousTimestep] as number)
        : this.#config.set_alpha_to_one
          ? 1
          : (this.#alphas[0] as number);
    const [beta, previousBeta] = [f32(1 - alpha), f32(1 - previous)];
    const [rootAlpha, rootBeta] = [f32(Math.sqrt(alpha)), f32(Math.sqrt(beta))];
    const sampleFactor = f32(Math.sqrt(f32(previous / alpha)));
    const denominator = f32(
      f32(alpha * f32(Math.sqrt(previousBeta))) + f32(Math.sqrt(f32(f32(alpha * beta) * previous))),
    );
    const difference = f32(previous - alpha);
    const isVelocity = this.#config.prediction_type === 'v_prediction';
    return sample.map((value, index) => {
      const raw = output[index] as number;
      const noise = isVelocity ? f32(f32(rootAlpha * raw) + f32(rootBeta * value)) : raw;
      return f32(sampleFactor * value) - f32(f32(difference * noise) / denominator);
    });
  }
}
