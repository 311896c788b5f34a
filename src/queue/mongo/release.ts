/** Release: gives a document back unharmed. It is pending again, the same run goes on, and the attempt does not count. */
import { ATTEMPTS } from './expressions.ts';
import { type ClaimKey, ownedBy, type PromptsCollection } from './prompts-collection.ts';
import type { PromptUpdate } from './statement-types.ts';

/** @param attempts so many do not count */
export function releasePipeline(attempts: number): PromptUpdate {
  return [
    {
      $set: {
        status: 'pending',
        'job.resume': true,
        'job.attempts': { $max: [0, { $subtract: [ATTEMPTS, attempts] }] },
      },
    },
    { $unset: ['job.token', 'job.owner', 'job.lease_until', 'job.progress', 'job.awaits_retry'] },
  ];
}

/** False also if an earlier attempt did it and its answer was lost: no worker has the document then, as the caller wanted. */
export async function release(prompts: PromptsCollection, key: ClaimKey, attempts: number): Promise<boolean> {
  const { matchedCount } = await prompts.run(() =>
    prompts.collection.updateOne(ownedBy(key), releasePipeline(attempts)),
  );
  return matchedCount === 1;
}
