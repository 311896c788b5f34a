/** The request fields that the family reads: a field of the table that is not here is refused in documents and flags. */
import type { FieldName } from '../../job/request-fields.ts';

export const STABLE_DIFFUSION_FIELDS: readonly FieldName[] = [
  'prompt',
  'negativePrompt',
  'seed',
  'numInferenceSteps',
  'guidanceScale',
  'guidanceRescale',
  'clipSkip',
  'widthPx',
  'heightPx',
  'numImages',
  'scheduler',
  'scheduleType',
  'eta',
  'timesteps',
  'sigmas',
];
