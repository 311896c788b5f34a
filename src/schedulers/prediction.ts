/**
 * The image and the noise that follow from the network's output. Only this file reads `prediction_type`, once for each kind of sample. One kind keeps
 * its variance (signal² + noise² = 1). To the other, noise is added (signal 1, noise sigma).
 * Source: diffusers schedulers/scheduling_ddim.py, step, formula (12); schedulers/scheduling_euler_discrete.py, step, 1.
 */

const f32 = Math.fround;

/** Of one element: its value in the sample, and the network's output there. */
type OfElement = (value: number, output: number) => number;

export interface Prediction {
  readonly original: OfElement;
  readonly noise: OfElement;
}

/** @param signal √ᾱ @param noise √(1 − ᾱ) */
export function variancePreserving(predictionType: string, signal: number, noise: number): Prediction {
  switch (predictionType) {
    case 'v_prediction':
      return {
        original: (value, output) => f32(f32(signal * value) - f32(noise * output)),
        noise: (value, output) => f32(f32(signal * output) + f32(noise * value)),
      };
    case 'sample':
      return {
        original: (_, output) => output,
        noise: (value, output) => f32(f32(value - f32(signal * output)) / noise),
      };
    default:
      return {
        original: (value, output) => f32(f32(value - f32(noise * output)) / signal),
        noise: (_, output) => output,
      };
  }
}

/** The original in a sample to which noise of this sigma was added. */
export function varianceExploding(predictionType: string, sigma: number): OfElement {
  switch (predictionType) {
    case 'v_prediction': {
      const squared = f32(f32(sigma * sigma) + 1);
      const factor = f32(-sigma / f32(Math.sqrt(squared)));
      return (value, output) => f32(f32(output * factor) + f32(value / squared));
    }
    case 'sample':
      return (_, output) => output;
    default:
      return (value, output) => f32(value - f32(sigma * output));
  }
}
