/**
 * One multistep update of the DPM-Solver family. Weights say how much of the sample, of each known output of the network and of fresh noise makes the
 * next sample. Orders 1 to 3; ODE and SDE; of the noise (DPM-Solver, arXiv 2206.00927) and of the image (DPM-Solver++, arXiv 2211.01095).
 * Source: diffusers schedulers/scheduling_dpmsolver_multistep.py, dpm_solver_first_order_update, multistep_dpm_solver_second_order_update and
 * multistep_dpm_solver_third_order_update.
 */

const f32 = Math.fround;

export const DPM_ALGORITHMS = ['dpmsolver++', 'dpmsolver', 'sde-dpmsolver++', 'sde-dpmsolver'] as const;
export type DpmAlgorithm = (typeof DPM_ALGORITHMS)[number];

/** Signal, noise and half the log signal-to-noise ratio. */
export interface Level {
  readonly alpha: number;
  readonly sigma: number;
  readonly lambda: number;
}

/** Of a sample that keeps its variance. @param noiseLevel noise relative to signal */
export function levelOf(noiseLevel: number): Level {
  const alpha = f32(1 / f32(Math.sqrt(f32(f32(noiseLevel * noiseLevel) + 1))));
  const sigma = f32(noiseLevel * alpha);
  return { alpha, sigma, lambda: f32(f32(Math.log(alpha)) - f32(Math.log(sigma))) };
}

/** Whether the method follows the predicted image; the others follow the predicted noise. */
export function followsImage(algorithm: DpmAlgorithm): boolean {
  return algorithm.endsWith('++');
}

export function isStochastic(algorithm: DpmAlgorithm): boolean {
  return algorithm.startsWith('sde-');
}

export interface DpmUpdate {
  readonly algorithm: DpmAlgorithm;
  /** Of second-order updates: `midpoint` or `heun`. */
  readonly solverType: string;
  readonly order: number;
  /** Where the update leads. */
  readonly target: Level;
  /** Where the outputs were made, newest first: at least `order`. */
  readonly levels: readonly Level[];
}

export interface DpmWeights {
  readonly sample: number;
  /** Newest first, as many as the order. */
  readonly outputs: readonly number[];
  /** 0 for an ODE. */
  readonly noise: number;
}

/** How much an update takes of the sample, of the newest output, of the outputs' slope and curve, and of noise. */
export interface Terms {
  readonly keep: number;
  readonly value: number;
  readonly midpointSlope: number;
  readonly slope: number;
  readonly curve: number;
  readonly noise: number;
}

export function dpmWeights(update: DpmUpdate): DpmWeights {
  const { order, target, levels, solverType } = update;
  const [here, before, earlier] = levels as readonly [Level, Level, Level];
  const h = f32(target.lambda - here.lambda);
  const { keep, value, midpointSlope, slope, curve, noise } = termsOf(update.algorithm, { here, target, h });
  if (order === 1) return { sample: keep, outputs: [value], noise };
  const r0 = (here.lambda - before.lambda) / h;
  if (order === 2) {
    const second = (solverType === 'heun' ? slope : midpointSlope) / r0;
    return { sample: keep, outputs: [value + second, -second], noise };
  }
  const r1 = (before.lambda - earlier.lambda) / h;
  const mixed = slope * (r0 / (r0 + r1)) + curve / (r0 + r1);
  const recent = (slope + mixed) / r0;
  const older = -mixed / r1;
  return { sample: keep, outputs: [value + recent, older - recent, -older], noise };
}

/** @param outputs newest first @param noise for an SDE */
export function dpmCombined(
  { sample: keep, outputs: weights, noise: noiseWeight }: DpmWeights,
  { sample, outputs, noise }: { sample: Float32Array; outputs: readonly Float32Array[]; noise?: Float32Array },
): Float32Array {
  const combined = new Float32Array(sample.length);
  for (let index = 0; index < combined.length; index++) {
    let sum = keep * (sample[index] as number) + (noise === undefined ? 0 : noiseWeight * (noise[index] as number));
    for (let place = 0; place < weights.length; place++)
      sum += (weights[place] as number) * ((outputs[place] as Float32Array)[index] as number);
    combined[index] = sum;
  }
  return combined;
}

interface Interval {
  readonly here: Level;
  readonly target: Level;
  /** The distance of their λ; Infinity where the target has no noise. */
  readonly h: number;
}

export function termsOf(algorithm: DpmAlgorithm, { here, target, h }: Interval): Terms {
  switch (algorithm) {
    case 'dpmsolver++': {
      const growth = Math.exp(-h) - 1;
      return {
        keep: f32(target.sigma / here.sigma),
        value: -target.alpha * growth,
        midpointSlope: -0.5 * target.alpha * growth,
        slope: target.alpha * (growth / h + 1),
        curve: -target.alpha * ((growth + h) / h ** 2 - 0.5),
        noise: 0,
      };
    }
    case 'dpmsolver': {
      const growth = Math.exp(h) - 1;
      return {
        keep: f32(target.alpha / here.alpha),
        value: -target.sigma * growth,
        midpointSlope: -0.5 * target.sigma * growth,
        slope: -target.sigma * (growth / h - 1),
        curve: -target.sigma * ((growth - h) / h ** 2 - 0.5),
        noise: 0,
      };
    }
    case 'sde-dpmsolver++': {
      const decay = 1 - Math.exp(-2 * h);
      return {
        keep: f32(target.sigma / here.sigma) * Math.exp(-h),
        value: target.alpha * decay,
        midpointSlope: 0.5 * target.alpha * decay,
        slope: target.alpha * (decay / (-2 * h) + 1),
        curve: target.alpha * ((decay - 2 * h) / (2 * h) ** 2 - 0.5),
        noise: target.sigma * Math.sqrt(decay),
      };
    }
    case 'sde-dpmsolver': {
      const growth = Math.exp(h) - 1;
      return {
        keep: f32(target.alpha / here.alpha),
        value: -2 * target.sigma * growth,
        midpointSlope: -target.sigma * growth,
        slope: -2 * target.sigma * (growth / h - 1),
        // diffusers has no third order of it.
        curve: Number.NaN,
        noise: target.sigma * Math.sqrt(Math.exp(2 * h) - 1),
      };
    }
  }
}
