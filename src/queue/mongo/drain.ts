/** Tells a worker that there is nothing to do, and until when. */
import type { DrainState, ModelSelection } from '../prompt-queue.ts';
import { MOST_OTHERS } from '../transitions.ts';
import { HAS_LEASE_DATE, LEASE_IS_OURS } from './expressions.ts';
import { valuesOf } from './model-scope.ts';
import type { PromptsCollection } from './prompts-collection.ts';
import type { PromptProjection } from './statement-types.ts';
import { countStuck } from './stuck.ts';

const HEAD_SIZE = 32;
/** So old may be what a walk knows of the documents that it passes over. */
const FRESH_MS = 5000;
/** Of processing documents so many are looked at; where all of these are refused, the rest is taken for refused too. */
const MAX_PROCESSING = 1000;

/** Where a lease is not ours, nobody knows that its value is a date. */
const WAIT: PromptProjection = {
  _id: 1,
  is_ours: LEASE_IS_OURS,
  wait_ms: { $cond: [LEASE_IS_OURS, { $subtract: ['$job.lease_until', '$$NOW'] }, null] },
};

export async function drainState(prompts: PromptsCollection, models?: ModelSelection): Promise<DrainState> {
  if (!(await isDrained(prompts))) return { isDrained: false, refused: 0, stuck: 0 };
  const { pending, ended, far, dead } = prompts.walks;
  const refusedProcessing = ended.refused + far.refused + dead.refused;
  return {
    isDrained: true,
    refused: pending.refused,
    stuck: (await countStuck(prompts)) + refusedProcessing,
    ...(models === undefined ? {} : { others: await countOthers(prompts, models) }),
  };
}

/** Pending documents for other models. */
async function countOthers(prompts: PromptsCollection, models: ModelSelection): Promise<number> {
  const { collection, bounds, hints } = prompts;
  const filter = { status: 'pending', 'job.model': { $nin: valuesOf(models) } } as const;
  const options = { limit: MOST_OTHERS, ...bounds };
  return prompts.run(() => collection.countDocuments(filter, { ...options, ...hints.models }));
}

/** Documents that are not ours to claim (`status: ["pending"]`, or passed over) are nobody's work. */
async function isDrained(prompts: PromptsCollection): Promise<boolean> {
  return (await hasNonePending(prompts)) && (await msUntilNextDue(prompts)) === undefined;
}

async function hasNonePending(prompts: PromptsCollection): Promise<boolean> {
  const walk = prompts.walks.pending;
  const { entries, isWhole } = await walk.look(prompts, { wanted: 1, size: HEAD_SIZE });
  if (entries.length > 0 || !isWhole) return false;
  if (!walk.isPassing) return true;
  // The walk passes only documents that no worker may claim, and the server refused none: the pass may end without a claim.
  if (walk.refused === 0) walk.endPass();
  if (walk.endedWithin(FRESH_MS)) return true;
  walk.restart({ isDue: true });
  return false;
}

/** Milliseconds until the first lease ends that is ours to wait for. */
export async function msUntilNextDue(prompts: PromptsCollection): Promise<number | undefined> {
  const { collection, walks, scope } = prompts;
  const wait = async (limit: number): Promise<number | undefined | 'unknown'> => {
    const found = await prompts.run(() =>
      collection
        .find(
          { ...scope, ...HAS_LEASE_DATE },
          {
            projection: WAIT,
            sort: { 'job.lease_until': 1 },
            limit,
            ...prompts.bounds,
            ...prompts.hints.processing,
          },
        )
        .toArray(),
    );
    const isRefused = (id: unknown): boolean => [walks.ended, walks.far, walks.dead].some((walk) => walk.isRefused(id));
    const first = found.find(({ _id, is_ours: isOurs }) => isOurs === true && !isRefused(_id));
    if (first !== undefined) return Number(first['wait_ms']);
    return found.length === limit ? 'unknown' : undefined;
  };
  const first = await wait(HEAD_SIZE);
  const wider = first === 'unknown' ? await wait(MAX_PROCESSING) : first;
  return wider === 'unknown' || wider === undefined ? undefined : Math.max(0, wider);
}
