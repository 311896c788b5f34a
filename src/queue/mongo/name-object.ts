/** Name object: a renewal that also records the name under which this document's images are stored from now on. */
import { fromNow, literal } from './expressions.ts';
import { type ClaimKey, ownedBy, type PromptsCollection } from './prompts-collection.ts';
import type { PromptUpdate } from './statement-types.ts';

export async function nameObject(prompts: PromptsCollection, key: ClaimKey, objectName: string): Promise<boolean> {
  const pipeline: PromptUpdate = [
    { $set: { 'job.lease_until': fromNow(prompts.leaseMs), 'job.object_name': literal(objectName) } },
  ];
  const { matchedCount } = await prompts.run(() => prompts.collection.updateOne(ownedBy(key), pipeline));
  return matchedCount === 1;
}
