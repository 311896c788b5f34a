/** The request fields that the family reads. */
import type { FieldName } from '../../job/request-fields.ts';
import { LATENT_DIFFUSION_FIELDS } from '../parts/latent-fields.ts';

/** Read by a UNet with `text_time` only. */
export const SIZE_FIELDS = [
  'originalSize',
  'cropsCoordsTopLeft',
  'targetSize',
  'negativeOriginalSize',
  'negativeCropsCoordsTopLeft',
  'negativeTargetSize',
] as const satisfies readonly FieldName[];

export const STABLE_DIFFUSION_XL_FIELDS: readonly FieldName[] = [
  ...LATENT_DIFFUSION_FIELDS,
  'prompt2',
  'negativePrompt2',
  ...SIZE_FIELDS,
];
