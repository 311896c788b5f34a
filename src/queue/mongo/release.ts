/** Release: gives a document back unharmed. It is pending again, the same run goes on, and the attempt does not count. */
import { numberAt } from './expressions.ts';
import { type ClaimKey, ownedBy, type PromptsCollection } from './prompts-collection.ts';

const RELEASE = [
  {
    $set: {
      status: 'pending',
      'job.resume': true,
      'job.attempts': { $max: [0, { $subtract: [numberAt('$job.attempts'), 1] }] },
    },
  },
  { $unset: ['job.token', 'job.owner', 'job.lease_until', 'job.progress'] },
];

/** False also where an unheard first try did it: the document is nobody's then, which is all that was wanted. */
export async function release(prompts: PromptsCollection, key: ClaimKey): Promise<boolean> {
  const { matchedCount } = await prompts.run(() => prompts.collection.updateOne(ownedBy(key), RELEASE as never));
  return matchedCount === 1;
}
