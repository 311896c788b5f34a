/**
 * Ways to space the sigmas between the highest and the lowest one. All classes of diffusers that have the keys `use_karras_sigmas`,
 * `use_exponential_sigmas` and `use_beta_sigmas` share them. In double, as numpy does it.
 * Source: diffusers schedulers/scheduling_euler_discrete.py, _convert_to_karras, _convert_to_exponential, _convert_to_beta.
 */
import { betaQuantile } from '../lib/beta-quantile.ts';
import { numpyLinspace } from '../lib/float32.ts';

export interface SigmaSpacing {
  readonly use_karras_sigmas: boolean | null;
  readonly use_exponential_sigmas: boolean | null;
  readonly use_beta_sigmas: boolean | null;
}

export const PLAIN_SPACING: SigmaSpacing = {
  use_karras_sigmas: false,
  use_exponential_sigmas: false,
  use_beta_sigmas: false,
};

export interface SigmaRange {
  readonly highest: number;
  readonly lowest: number;
  readonly count: number;
}

/** @returns the sigmas downwards; undefined where the configuration asks for none of these ways */
export function spacedSigmas(spacing: SigmaSpacing, { highest, lowest, count }: SigmaRange): number[] | undefined {
  if (spacing.use_karras_sigmas === true) return karrasSigmas({ highest, lowest, count });
  if (spacing.use_exponential_sigmas === true)
    return numpyLinspace(Math.log(highest), Math.log(lowest), count).map(Math.exp);
  if (spacing.use_beta_sigmas === true)
    return numpyLinspace(0, 1, count).map((ramp) => lowest + betaQuantile(1 - ramp, 0.6) * (highest - lowest));
  return undefined;
}

/** Spread evenly in their 7th root. Source: arXiv 2206.00364, equation 5. */
function karrasSigmas({ highest, lowest, count }: SigmaRange, rho = 7): number[] {
  const [low, high] = [lowest ** (1 / rho), highest ** (1 / rho)];
  return numpyLinspace(0, 1, count).map((ramp) => (high + ramp * (low - high)) ** rho);
}

/** Which key asks for them; undefined: none does. A class cannot use timesteps by hand beside them. */
export function spacingKey(
  spacing: Partial<SigmaSpacing> & { readonly use_lu_lambdas?: boolean | null },
): string | undefined {
  return (['use_karras_sigmas', 'use_exponential_sigmas', 'use_beta_sigmas', 'use_lu_lambdas'] as const).find(
    (key) => spacing[key] === true,
  );
}
