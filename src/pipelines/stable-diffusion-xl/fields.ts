/** The request fields that the family reads: a field of the table that is not here is refused in documents and flags. */
import type { FieldName } from '../../job/request-fields.ts';

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
  'prompt',
  'negativePrompt',
  'prompt2',
  'negativePrompt2',
  'seed',
  'numInferenceSteps',
  'guidanceScale',
  'guidanceRescale',
  'clipSkip',
  'widthPx',
  'heightPx',
  ...SIZE_FIELDS,
  'numImages',
  'scheduler',
];
