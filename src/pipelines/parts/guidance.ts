/** Classifier-free guidance (arXiv 2207.12598). Source: diffusers pipeline_stable_diffusion.py, do_classifier_free_guidance. */

/** Guidance is on only above 1: at 0 and 1 the prompt alone is predicted. */
export function isGuided(guidanceScale: number): boolean {
  return guidanceScale > 1;
}

/**
 * The last pass that is guided. The share counts passes, of which some schedulers have two a step. Guidance ends after the pass with this number, so
 * that the first one is always guided, and a share of 1 changes nothing.
 * Source: diffusers callbacks.py, SDCFGCutoffCallback.callback_fn.
 */
export function lastGuidedPass(passes: number, guidanceStop: number | null): number {
  return guidanceStop === null ? passes : Math.trunc(passes * guidanceStop);
}

/** u + s · (c − u), in float32. */
export function guide(unconditional: Float32Array, conditional: Float32Array, guidanceScale: number): Float32Array {
  const scale = Math.fround(guidanceScale);
  const guided = new Float32Array(unconditional.length);
  for (let index = 0; index < guided.length; index++) {
    const base = unconditional[index] as number;
    guided[index] = base + Math.fround(scale * Math.fround((conditional[index] as number) - base));
  }
  return guided;
}

/**
 * Brings what guidance made back to the contrast of the prediction for the prompt alone, as far as `share` says, in float32.
 * Source: arXiv 2305.08891, section 3.4; diffusers pipeline_stable_diffusion.py, rescale_noise_cfg.
 */
export function rescaleGuidance(guided: Float32Array, conditional: Float32Array, share: number): Float32Array {
  const ratio = Math.fround(deviation(conditional) / deviation(guided));
  const [rescaledShare, guidedShare] = [Math.fround(share), Math.fround(1 - share)];
  return guided.map((value) => {
    const rescaled = Math.fround(value * ratio);
    return Math.fround(rescaledShare * rescaled) + Math.fround(guidedShare * value);
  });
}

/** Of a sample: divided by one less than there are numbers. */
function deviation(values: Float32Array): number {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return Math.fround(Math.sqrt(squares / (values.length - 1)));
}
