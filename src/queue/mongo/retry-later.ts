/** Retry later: stays `processing`, owned by nobody, claimable when the pause is over. The attempt counts. */
import { diedWithoutVerdict, errorText } from '../failure-text.ts';
import type { LaterOptions } from '../prompt-queue.ts';
import { newToken } from '../transitions.ts';
import { fromNow, literal } from './expressions.ts';
import { type ClaimKey, MAJORITY, ownedBy, type PromptsCollection } from './prompts-collection.ts';
import type { PromptUpdate } from './statement-types.ts';

export async function retryLater(
  prompts: PromptsCollection,
  key: ClaimKey,
  { delayMs, failure, waitToken = newToken() }: LaterOptions,
): Promise<boolean> {
  const pipeline: PromptUpdate = [
    {
      $set: {
        // New and nobody's: the worker that gives it up cannot come back.
        'job.token': literal(waitToken),
        'job.lease_until': fromNow(delayMs),
        'job.awaits_retry': true,
        'job.previous_died': diedWithoutVerdict(failure),
        'job.last_error': literal(errorText(failure)),
      },
    },
    { $unset: ['job.owner', 'job.progress'] },
  ];
  return prompts.run(async () => {
    const { matchedCount } = await prompts.collection.updateOne(ownedBy(key), pipeline);
    return matchedCount === 1 || waitsAlready(prompts, { id: key.id, token: waitToken });
  });
}

/** An attempt before this one may have put it off, and its answer was lost. */
async function waitsAlready({ collection }: PromptsCollection, waiting: ClaimKey): Promise<boolean> {
  return (await collection.findOne(ownedBy(waiting), { projection: { _id: 1 }, ...MAJORITY })) !== null;
}
