/**
 * Claim: makes documents this worker's, each in one atomic write. There are two groups: documents whose lease is over or whose retry is due, and
 * pending ones. They take turns in having the first choice, so neither group keeps the other waiting.
 */
import type { Endings } from '../prompt-queue.ts';
import { claimEnded } from './claim-ended.ts';
import { claimByTurns, type Turn } from './claim-by-turns.ts';
import { type Contention, claimPending } from './claim-pending.ts';
import type { PromptsCollection } from './prompts-collection.ts';
import type { ClaimedRecord } from './take-one.ts';

/** State that a worker keeps from claim to claim. */
export interface ClaimMemory {
  readonly contention: Contention;
  /** Whether the pending documents have the first choice next. */
  isPendingFirst: boolean;
  readonly turn: Turn;
}

export interface ClaimOptions {
  readonly limit: number;
  readonly memory: ClaimMemory;
  readonly endings: Endings | undefined;
  /** Tenants take turns. */
  readonly isFair: boolean;
}

/** @throws `queue_refused`; else as `run`, if nothing was claimed before */
export async function claim(
  prompts: PromptsCollection,
  { limit, memory, endings, isFair }: ClaimOptions,
): Promise<readonly ClaimedRecord[]> {
  const claimed: ClaimedRecord[] = [];
  const pending = async (most: number): Promise<void> => {
    const options = { limit: most, contention: memory.contention, endings, claimed };
    // The walk also ends documents whose priority is none, and counts those that the database refuses to change.
    if (isFair && (await claimByTurns(prompts, memory.turn, options))) return;
    await claimPending(prompts, options);
  };
  const ended = (most: number): Promise<void> => claimEnded(prompts, { limit: most, endings, claimed });
  const [first, second] = memory.isPendingFirst ? [pending, ended] : [ended, pending];
  memory.isPendingFirst = !memory.isPendingFirst;
  try {
    await first(Math.ceil(limit / 2));
    await second(limit);
    await first(limit);
  } catch (error) {
    // The prompts that we have claimed already must not wait for their lease to end.
    if (claimed.length === 0) throw error;
    prompts.logger.warning('the queue failed during a claim; the worker generates the prompts that it got', {
      claimed: claimed.length,
      error,
    });
  }
  return claimed;
}
