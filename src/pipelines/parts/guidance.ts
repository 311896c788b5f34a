/** Classifier-free guidance (arXiv 2207.12598). Source: diffusers pipeline_stable_diffusion.py, do_classifier_free_guidance. */

/** Guidance is on only above 1: at 0 and 1 the prompt alone is predicted. */
export function isGuided(guidanceScale: number): boolean {
  return guidanceScale > 1;
}

/** u + s · (c − u), in float32. */
export function guide(unconditional: Float32Array, conditional: Float32Array, guidanceScale: number): Float32Array {
  const scale = Math.fround(guidanceScale);
  return unconditional.map(
    (base, index) => base + Math.fround(scale * Math.fround((conditional[index] as number) - base)),
  );
}
