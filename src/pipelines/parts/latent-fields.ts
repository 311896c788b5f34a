/** The request fields that every latent diffusion family reads. A family's list adds its own. A field in no list of the model is refused. */
import type { FieldName } from '../../job/request-fields.ts';

export const LATENT_DIFFUSION_FIELDS: readonly FieldName[] = [
  'prompt',
  'negativePrompt',
  'seed',
  'numInferenceSteps',
  'guidanceScale',
  'guidanceRescale',
  'guidanceStop',
  'clipSkip',
  'widthPx',
  'heightPx',
  'numImages',
  'scheduler',
  'scheduleType',
  'eta',
  'timesteps',
  'sigmas',
  'deepCache',
  'deepCacheBranch',
];
