/**
 * Claims pending documents by their ids, out of one look at the head of the queue. Workers notice when they collide and then spread over the head.
 * When all sorted for its first document, 32 claimers made the server retry every claim internally (`npm run bench:queue`).
 */
import { Text2ImgError } from '../../errors/text2img-error.ts';
import type { Endings, FailureRecord } from '../prompt-queue.ts';
import { newRunId } from '../transitions.ts';
import { claimEntry, type EntryOutcome, endEntry, TOO_LARGE } from './claim-entry.ts';
import {
  ATTEMPTS,
  IS_TOO_LARGE,
  JOB_IS_OURS,
  LABELS_ARE_OURS,
  literal,
  oddLabelOf,
  RUN_IS_OURS,
  statusIs,
} from './expressions.ts';
import type { PromptsCollection } from './prompts-collection.ts';
import type { Expression, PromptFields, PromptFilter, PromptUpdate } from './statement-types.ts';
import type { ClaimedRecord } from './take-one.ts';
import type { Walk, WalkEntry } from './walk.ts';

/** How much of the queue's head is looked at; more where many want it, else they all meet in the same few. */
export const HEAD_SIZE = 32;
const CROWDED_HEAD_SIZE = 128;
/** After so many collisions in one look it is out of date: with 32 claimers some went through a whole stale head, for a second. */
const MAX_STALE = 2;
const MAX_MISSES = 64;
/** From this share of collisions on the place in the head is left to chance. */
export const SPREAD_FROM = 0.1;
/** One collision counts at once. A worker forgets it after about 40 claims without another. */
const CALMING = 0.05;
/** Passing over refused documents is interrupted after so long, for what else a worker does; the next claim goes on. */
export const MAX_CLAIM_MS = 1000;

/** How often documents were taken by somebody else lately, in [0, 1]. */
export interface Contention {
  rate: number;
}

export interface PendingOptions {
  /** With what is claimed already. */
  readonly limit: number;
  readonly contention: Contention;
  readonly endings: Endings | undefined;
  /** Added to, so that it is known when something fails. */
  readonly claimed: ClaimedRecord[];
}

/** @throws `queue_refused` when a whole pass met only documents that the database refuses to change, and more than the pass before; else as `run` */
export async function claimPending(prompts: PromptsCollection, options: PendingOptions): Promise<void> {
  const { limit, contention, claimed } = options;
  const walk = prompts.walks.pending;
  const startedMs = performance.now();
  walk.restart({ isDue: false });
  let misses = 0;
  while (claimed.length < limit && misses <= MAX_MISSES && prompts.signal?.aborted !== true) {
    const size = contention.rate > SPREAD_FROM ? CROWDED_HEAD_SIZE : HEAD_SIZE;
    const { entries, isWhole } = await walk.look(prompts, { wanted: limit - claimed.length, size });
    if (entries.length === 0 && isWhole) return endPass(prompts, walk);
    if (entries.length === 0) return;
    misses += await claimEntries(prompts, entries, options);
    if (performance.now() - startedMs > MAX_CLAIM_MS) return;
  }
}

/** @returns how many were gone */
export async function claimEntries(
  prompts: PromptsCollection,
  entries: readonly WalkEntry[],
  options: PendingOptions,
): Promise<number> {
  const { limit, contention, claimed } = options;
  const head = [...entries];
  const isCrowded = contention.rate > SPREAD_FROM;
  let stale = 0;
  while (head.length > 0 && claimed.length < limit && stale < MAX_STALE && prompts.signal?.aborted !== true) {
    const place = isCrowded || stale > 0 ? Math.floor(Math.random() * head.length) : 0;
    const [entry] = head.splice(place, 1) as [WalkEntry];
    const outcome = await claimOrEnd(prompts, entry, options);
    await prompts.walks.pending.calm(prompts.signal);
    if (outcome === 'passed') continue;
    contention.rate += outcome === 'missed' ? (1 - contention.rate) / 2 : -contention.rate * CALMING;
    if (outcome === 'missed') stale++;
    else claimed.push(outcome);
  }
  return stale;
}

async function claimOrEnd(
  prompts: PromptsCollection,
  entry: WalkEntry,
  { endings }: PendingOptions,
): Promise<EntryOutcome> {
  const walk = prompts.walks.pending;
  const isPending = statusIs('pending');
  const ending = endingOf(entry);
  if (ending !== undefined) {
    // Its model does not count: a `job` that is a list of numbers matches none.
    const filter: PromptFilter = { status: 'pending', $expr: { $and: [isPending, ending.condition] } };
    await endEntry(prompts, { walk, entry, filter, failure: ending.failure, endings });
    return 'passed';
  }
  const filter: PromptFilter = {
    ...prompts.scope,
    status: 'pending',
    $expr: { $and: [isPending, JOB_IS_OURS, LABELS_ARE_OURS] },
  };
  return claimEntry(prompts, { walk, entry, filter, take: takePending, endings });
}

/** Of what can be seen before it is claimed. */
function endingOf({
  document,
}: WalkEntry): { readonly condition: Expression; readonly failure: FailureRecord } | undefined {
  const { job_type: jobType, is_too_large: isTooLarge } = document;
  if (jobType !== 'missing' && jobType !== 'object') {
    const message = `"job" is of type ${String(jobType)}; the service keeps its state there, so allowed are a sub-document or nothing.`;
    return { condition: { $not: [JOB_IS_OURS] }, failure: { code: 'invalid_document', message } };
  }
  const failure = oddLabelOf(document);
  if (failure !== undefined) return { condition: { $not: [LABELS_ARE_OURS] }, failure };
  return isTooLarge === true ? { condition: IS_TOO_LARGE, failure: TOO_LARGE } : undefined;
}

/** A released run goes on. If the `run_id` does not look like ours, a new run begins. */
function takePending(own: PromptFields): PromptUpdate {
  const resumes: Expression = { $and: [{ $eq: ['$job.resume', true] }, RUN_IS_OURS] };
  return [
    {
      $set: {
        ...own,
        status: 'processing',
        'job.run_id': { $cond: [resumes, '$job.run_id', literal(newRunId())] },
        'job.attempts': { $cond: [resumes, { $add: [ATTEMPTS, 1] }, 1] },
        'job.previous_died': { $cond: [resumes, { $eq: ['$job.previous_died', true] }, false] },
      },
    },
    { $unset: ['job.resume', 'job.awaits_retry', 'job.progress'] },
  ];
}

/** Everything was seen, and nothing could be claimed. */
function endPass(prompts: PromptsCollection, walk: Walk): void {
  if (!walk.isUnderWay) return;
  walk.endPass();
  const { refused, refusedBefore, hasTaken } = walk;
  if (refused > 1 && refused > walk.told) {
    walk.told = refused;
    prompts.logger.warning('pending prompts are skipped, because the database refuses to change them', {
      count: refused,
    });
  }
  if (hasTaken || refused <= refusedBefore) return;
  throw new Text2ImgError(
    'queue_refused',
    `the database refuses to change any of the ${refused} pending prompts: see the reason in the log, and the validator of the collection.`,
  );
}
