/** The families of pipelines that are implemented. */
import type { Family } from './family.ts';
import { STABLE_DIFFUSION } from './stable-diffusion/family.ts';

export const FAMILIES = [STABLE_DIFFUSION] as const satisfies readonly Family[];
