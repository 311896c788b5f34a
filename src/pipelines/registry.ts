/** The families of pipelines that are implemented. */
import type { Family } from './family.ts';
import { LATENT_CONSISTENCY } from './latent-consistency/family.ts';
import { STABLE_DIFFUSION } from './stable-diffusion/family.ts';
import { STABLE_DIFFUSION_XL } from './stable-diffusion-xl/family.ts';

export const FAMILIES = [
  STABLE_DIFFUSION,
  STABLE_DIFFUSION_XL,
  LATENT_CONSISTENCY,
] as const satisfies readonly Family[];
