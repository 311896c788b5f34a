/**
 * The guidance as an input of the denoising network, for networks that were distilled with it (`time_cond_proj_dim`).
 * Source: diffusers pipelines/latent_consistency_models/pipeline_latent_consistency_text2img.py, get_guidance_scale_embedding.
 */
import type { ResolvedGenerationRequest } from '../../job/generation-request.ts';
import { REQUEST_FIELDS } from '../../job/request-fields.ts';
import type { Condition } from './conditions.ts';

/** The largest period of the sines. */
const PERIOD = 10_000;

/** @param features `time_cond_proj_dim` @returns [features]: sines, then cosines, in float32 */
function guidanceEmbedding(guidanceScale: number, features: number): Float32Array {
  // The papers count guidance from 0.
  const scaled = Math.fround(Math.fround(guidanceScale - 1) * 1000);
  const half = Math.floor(features / 2);
  const exponent = Math.fround(Math.fround(Math.log(PERIOD)) / (half - 1));
  const embedding = new Float32Array(features);
  for (let index = 0; index < half; index++) {
    const angle = Math.fround(scaled * Math.fround(Math.exp(Math.fround(index * -exponent))));
    embedding[index] = Math.sin(angle);
    embedding[half + index] = Math.cos(angle);
  }
  return embedding;
}

/** @param features null: the network has no such input */
export function guidanceCondition(guidanceScale: number, features: number | null): Condition {
  if (features === null) return {};
  return { timestep_cond: { data: guidanceEmbedding(guidanceScale, features), shape: [features] } };
}

/** Sentences about fields of the unconditional half, which such a network has not. The image is generated as diffusers generates it. */
export function unguidedFieldWarnings(
  { guidanceRescale, guidanceStop }: Pick<ResolvedGenerationRequest, 'guidanceRescale' | 'guidanceStop'>,
  features: number | null,
): readonly string[] {
  if (features === null) return [];
  const stated = [
    ...((guidanceRescale ?? 0) > 0 ? [REQUEST_FIELDS.guidanceRescale] : []),
    ...((guidanceStop ?? 1) < 1 ? [REQUEST_FIELDS.guidanceStop] : []),
  ];
  return stated.map(({ wire }) => `"${wire}" has no effect with this model, whose UNet reads the guidance itself.`);
}
