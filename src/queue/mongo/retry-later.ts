/** Retry later: stays `processing`, owned by nobody, claimable when the pause is over. The attempt counts. */
import { randomBytes } from 'node:crypto';
import { errorText, type FailureRecord, WITHOUT_VERDICT } from '../failure-text.ts';
import { fromNow, literal } from './expressions.ts';
import { type ClaimKey, ownedBy, type PromptsCollection } from './prompts-collection.ts';

export interface RetryOptions {
  readonly delayMs: number;
  readonly failure: FailureRecord;
}

export async function retryLater(
  prompts: PromptsCollection,
  key: ClaimKey,
  { delayMs, failure }: RetryOptions,
): Promise<boolean> {
  const pipeline = [
    {
      $set: {
        // New and nobody's: the worker that gives it up cannot come back.
        'job.token': literal(randomBytes(16).toString('hex')),
        'job.lease_until': fromNow(delayMs),
        'job.awaits_retry': true,
        'job.previous_died': WITHOUT_VERDICT.has(failure.code),
        'job.last_error': literal(errorText(failure)),
      },
    },
    { $unset: ['job.owner', 'job.progress'] },
  ];
  const { matchedCount } = await prompts.run(() => prompts.collection.updateOne(ownedBy(key), pipeline as never));
  return matchedCount === 1;
}
