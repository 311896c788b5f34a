/** Claims documents whose worker's lease is over, or whose retry is due. */
import type { Endings } from '../prompt-queue.ts';
import { newRunId } from '../transitions.ts';
import { claimEntry, endEntry } from './claim-entry.ts';
import { ATTEMPTS, LABELS_ARE_OURS, leaseEnded, literal, oddLabelOf, RUN_IS_OURS } from './expressions.ts';
import type { PromptsCollection } from './prompts-collection.ts';
import type { Expression, PromptFields, PromptUpdate } from './statement-types.ts';
import type { ClaimedRecord } from './take-one.ts';
import type { Walk } from './walk.ts';

const HEAD_SIZE = 32;
/** We never write such leases, so the worker looks for them this seldom. */
const FAR_LOOK_MS = 10_000;

/** A worker that put the document off knew how the attempt ended. A lease that ran out means that its worker crashed. */
const PREVIOUS_DIED: Expression = {
  $cond: [{ $eq: ['$job.awaits_retry', true] }, { $eq: ['$job.previous_died', true] }, true],
};

export interface EndedOptions {
  /** With what is claimed already. */
  readonly limit: number;
  readonly endings: Endings | undefined;
  /** Added to, so that it is known when something fails. */
  readonly claimed: ClaimedRecord[];
}

/** @throws as `run` */
export async function claimEnded(prompts: PromptsCollection, options: EndedOptions): Promise<void> {
  const { ended, far } = prompts.walks;
  await claimFrom(prompts, ended, options);
  const nowMs = performance.now();
  if (options.claimed.length >= options.limit || nowMs < (nextFarLookMs.get(far) ?? 0)) return;
  nextFarLookMs.set(far, nowMs + FAR_LOOK_MS);
  await claimFrom(prompts, far, options);
}

const nextFarLookMs = new WeakMap<Walk, number>();

async function claimFrom(
  prompts: PromptsCollection,
  walk: Walk,
  { limit, endings, claimed }: EndedOptions,
): Promise<void> {
  walk.restart({ isDue: false });
  // One look: what it misses, the next claim sees.
  const { entries, isWhole } = await walk.look(prompts, { wanted: limit - claimed.length, size: HEAD_SIZE });
  if (entries.length === 0 && isWhole) walk.endPass();
  for (const entry of entries) {
    if (claimed.length >= limit || prompts.signal?.aborted === true) return;
    const hasAttempts: Expression = { $lt: [ATTEMPTS, prompts.maxAttempts] };
    const failure = oddLabelOf(entry.document);
    if (failure !== undefined) {
      const filter = leaseEnded({ $and: [hasAttempts, { $not: [LABELS_ARE_OURS] }] });
      await endEntry(prompts, { walk, entry, filter, failure, endings });
      await walk.calm(prompts.signal);
      continue;
    }
    const filter = { ...prompts.scope, ...leaseEnded({ $and: [hasAttempts, LABELS_ARE_OURS] }) };
    const outcome = await claimEntry(prompts, { walk, entry, filter, take: takeEnded, endings });
    await walk.calm(prompts.signal);
    if (outcome !== 'missed' && outcome !== 'passed') claimed.push(outcome);
  }
}

function takeEnded(own: PromptFields): PromptUpdate {
  return [
    {
      $set: {
        ...own,
        'job.run_id': { $cond: [RUN_IS_OURS, '$job.run_id', literal(newRunId())] },
        'job.attempts': { $add: [ATTEMPTS, 1] },
        'job.previous_died': PREVIOUS_DIED,
      },
    },
    { $unset: ['job.awaits_retry'] },
  ];
}
