/**
 * PNDM (arXiv 2202.09778): linear multistep, with or without the Runge-Kutta start. With `skip_prk_steps` the second timestep comes twice,
 * so n steps take n + 1 passes. Source: diffusers schedulers/scheduling_pndm.py, PNDMScheduler.
 */
import { roundHalfEven } from '../lib/float32.ts';
import {
  cumulatedAlphas,
  requireSteps,
  requireTrainedTimesteps,
  sigmaOf,
  signalAndNoise,
  spreadTimesteps,
  TRAINING_DEFAULTS,
  withDefaults,
} from './noise-schedule.ts';
import { firstPassOf, PassOrder, passAt } from './passes.ts';
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
import { trainedRules } from './training-rules.ts';

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

interface CountedStep {
  readonly modelOutput: Float32Array;
  readonly sample: Float32Array;
  readonly timestep: number;
  /** How many passes of this run came before. */
  readonly count: number;
}

class PNDMScheduler implements Scheduler {
  readonly passes: readonly SchedulerPass[];
  readonly initNoiseSigma = 1;
  readonly #config: typeof DEFAULTS;
  readonly #alphas: Float32Array;
  readonly #steps: number;
  readonly #stepSize: number;
  readonly #rungeKuttaTimesteps: readonly number[];
  readonly #order = new PassOrder();
  /** Outputs of the network, newest last, at most four. */
  #outputs: Float32Array[] = [];
  /** The sample that a Runge-Kutta or the repeated first step starts from. */
  #heldSample: Float32Array | undefined;
  #rungeKuttaSum: Float32Array | undefined;

  constructor(config: SchedulerConfig, { steps }: SchedulerOptions) {
    this.#config = withDefaults(DEFAULTS, config);
    const { num_train_timesteps: used, skip_prk_steps: skipRungeKutta } = this.#config;
    requireSteps(steps, skipRungeKutta ? 1 : ORDER, used);
    this.#steps = steps;
    this.#alphas = cumulatedAlphas(this.#config);
    this.#stepSize = Math.floor(used / steps);
    const { steps_offset: offset, timestep_spacing: spacing } = this.#config;
    const down = spreadTimesteps({ spacing, steps, used, offset, round: roundHalfEven });
    requireTrainedTimesteps(down, used);
    this.#rungeKuttaTimesteps = skipRungeKutta ? [] : this.#rungeKuttaSpread(down);
    const timesteps = skipRungeKutta
      ? [...down.slice(0, 2), ...down.slice(1, 2), ...down.slice(2)]
      : [...this.#rungeKuttaTimesteps, ...down.slice(3)];
    this.passes = timesteps.map((timestep) => ({ timestep, sigma: sigmaOf(this.#alphas[timestep] as number) }));
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

  firstPass(strength: number): number {
    return firstPassOf(strength, this.#steps);
  }

  scaleModelInput(sample: Float32Array): Float32Array {
    return sample;
  }

  /**
   * As diffusers, the method starts anew at the first pass of its loop, which need not be pass 0. So `count` and not the pass number says what a pass
   * is for.
   */
  step({ modelOutput, sample, pass }: SchedulerStep): SchedulerStepResult {
    const { timestep } = passAt(this.passes, pass);
    const step = { modelOutput, sample, timestep, count: this.#order.enter(pass) };
    const isStart = step.count < this.#rungeKuttaTimesteps.length;
    return { sample: isStart ? this.#rungeKuttaStep(step) : this.#multistep(step) };
  }

  addNoise({ original, noise: added, pass }: NoisedSample): Float32Array {
    const { signal, noise } = signalAndNoise(this.#alphas[passAt(this.passes, pass).timestep] as number);
    return original.map((value, index) => f32(signal * value) + f32(noise * (added[index] as number)));
  }

  #rungeKuttaStep({ modelOutput, timestep, sample, count }: CountedStep): Float32Array {
    const stage = count % 4;
    const previousTimestep = timestep - (count % 2 === 1 ? 0 : Math.floor(this.#stepSize / 2));
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
    const start = this.#rungeKuttaTimesteps[Math.floor(count / 4) * 4] as number;
    return this.#transfer(this.#heldSample ?? sample, stage === 3 ? sum : modelOutput, start, previousTimestep);
  }

  #multistep({ modelOutput, timestep, sample, count }: CountedStep): Float32Array {
    if (count === 1) {
      // The timestep comes a second time: the mean of both outputs makes the first step anew.
      const first = this.#outputs.at(-1) as Float32Array;
      const mean = modelOutput.map((value, index) => f32(value + (first[index] as number)) / 2);
      const held = this.#heldSample as Float32Array;
      this.#heldSample = undefined;
      return this.#transfer(held, mean, timestep + this.#stepSize, timestep);
    }
    this.#outputs = [...this.#outputs.slice(-3), modelOutput];
    if (count === 0) this.#heldSample = sample;
    return this.#transfer(sample, this.#combined(), timestep, timestep - this.#stepSize);
  }

  #combined(): Float32Array {
    const outputs = this.#outputs.toReversed();
    const newest = outputs[0] as Float32Array;
    const weights = MULTISTEP[outputs.length - 2];
    if (weights === undefined) return newest;
    const combined = new Float32Array(newest.length);
    for (let index = 0; index < combined.length; index++) {
      let sum = 0;
      for (let place = 0; place < outputs.length; place++)
        sum += (weights[place] as number) * ((outputs[place] as Float32Array)[index] as number);
      combined[index] = sum;
    }
    return combined;
  }

  /** Formula 9 of the paper: the sample at `timestep` carried over to `previousTimestep`. */
  #transfer(sample: Float32Array, output: Float32Array, timestep: number, previousTimestep: number): Float32Array {
    const alpha = this.#alphas[timestep] as number;
    const previous =
      previousTimestep >= 0
        ? (this.#alphas[previousTimestep] as number)
        : this.#config.set_alpha_to_one
          ? 1
          : (this.#alphas[0] as number);
    const [beta, previousBeta] = [f32(1 - alpha), f32(1 - previous)];
    const { signal, noise } = signalAndNoise(alpha);
    const { noise: noiseOf } = variancePreserving(this.#config.prediction_type, signal, noise);
    const sampleFactor = f32(Math.sqrt(f32(previous / alpha)));
    const denominator = f32(
      f32(alpha * f32(Math.sqrt(previousBeta))) + f32(Math.sqrt(f32(f32(alpha * beta) * previous))),
    );
    const difference = f32(previous - alpha);
    const transferred = new Float32Array(sample.length);
    for (let index = 0; index < transferred.length; index++) {
      const value = sample[index] as number;
      const predicted = noiseOf(value, output[index] as number);
      transferred[index] = f32(sampleFactor * value) - f32(f32(difference * predicted) / denominator);
    }
    return transferred;
  }
}

export const PNDM: SchedulerClass = {
  className: 'PNDMScheduler',
  rules: trainedRules({
    keys: (z) => ({
      skip_prk_steps: z.boolean(),
      set_alpha_to_one: z.boolean(),
      prediction_type: z.enum(['epsilon', 'v_prediction']),
    }),
  }),
  names: [{ name: 'pndm', settings: {}, sampler: 'PLMS' }],
  scheduleTypes: ['sgm_uniform', 'normal'],
  create: (config, options) => new PNDMScheduler(config, options),
};
