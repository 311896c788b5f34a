/**
 * Feature caching: the whole denoising network runs in some passes only. The others run the blocks nearest to the image, and take the result of the
 * deep blocks from the last whole pass.
 * Source: the DeepCache package 0.1.1 (arXiv 2312.00858), extension/deepcache.py, DeepCacheSDHelper with `skip_mode` "uniform".
 */
import { whole } from '../../job/field-types.ts';
import type { ResolvedGenerationRequest } from '../../job/generation-request.ts';
import { REQUEST_FIELDS } from '../../job/request-fields.ts';
import { DEFAULT_BRANCH } from '../../networks/unet-2d-branches.ts';
import type { SchedulerPass } from '../../schedulers/scheduler.ts';
import type { Denoiser } from './networks.ts';

type CachingRequest = Pick<ResolvedGenerationRequest, 'deepCache' | 'deepCacheBranch'>;

export interface FeatureCaching {
  /** At least 2. */
  readonly interval: number;
  readonly branch: number;
}

/** @returns undefined where every pass runs the whole network */
export function featureCaching({ deepCache, deepCacheBranch }: CachingRequest): FeatureCaching | undefined {
  return deepCache === null || deepCache === 0
    ? undefined
    : { interval: deepCache, branch: deepCacheBranch ?? DEFAULT_BRANCH };
}

/** @throws `invalid_parameter` for a branch that the network has not */
export function checkBranch(
  { deepCacheBranch }: CachingRequest,
  { largestBranch }: Pick<Denoiser, 'largestBranch'>,
): void {
  const allowed = whole({ min: 0, max: largestBranch });
  if (deepCacheBranch === null || allowed.parse(deepCacheBranch) !== undefined) return;
  throw allowed.refuse(REQUEST_FIELDS.deepCacheBranch.wire, deepCacheBranch);
}

/**
 * The package counts by the place where a pass's timestep is first in the list. So two passes of one timestep, as Heun takes them, are both whole or
 * both shallow.
 */
export function isWholePass(passes: readonly SchedulerPass[], pass: number, { interval }: FeatureCaching): boolean {
  const first = passes.findIndex(({ timestep }) => timestep === passes[pass]?.timestep);
  return first % interval === 0;
}

/** Sentences about settings that do not do what they promise. */
export function cachingWarnings(request: CachingRequest, passes: readonly SchedulerPass[]): readonly string[] {
  const { deepCache, deepCacheBranch } = REQUEST_FIELDS;
  const caching = featureCaching(request);
  if (caching === undefined)
    return request.deepCacheBranch === null
      ? []
      : [`"${deepCacheBranch.wire}" has no effect unless "${deepCache.wire}" is 2 or more.`];
  const { interval } = caching;
  const isRenewed = passes.some((_, pass) => pass > 0 && isWholePass(passes, pass, caching));
  if (isRenewed || passes.length <= 2 * interval) return [];
  return [
    `With this scheduler and "${deepCache.wire}" ${interval} only the first of ${passes.length} passes ran the whole network: each timestep after it has two passes, ` +
      'and an even number meets none of them. Take an odd number.',
  ];
}
