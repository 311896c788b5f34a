/**
 * From the latents of the denoising network to those of the autoencoder.
 * Source: diffusers pipelines/stable_diffusion_xl/pipeline_stable_diffusion_xl.py, StableDiffusionXLPipeline.__call__.
 */
import type { VaeDecoder } from './networks.ts';

/** @param latents [C, h, w] @returns the same shape */
export function unscaled(
  latents: Float32Array,
  { scalingFactor, statistics }: Pick<VaeDecoder, 'scalingFactor' | 'statistics'>,
): Float32Array {
  if (statistics === undefined) return latents.map((value) => value / scalingFactor);
  const { mean, deviation } = statistics;
  const size = latents.length / mean.length;
  const divisor = Math.fround(scalingFactor);
  return latents.map((value, index) => {
    const channel = Math.floor(index / size);
    const spread = Math.fround(value * Math.fround(deviation[channel] as number));
    return Math.fround(spread / divisor) + Math.fround(mean[channel] as number);
  });
}
