/** Renew: extends the lease, which runs anew from now. If nothing matched, the job is lost, cancelled or deleted. */
import type { JobProgress } from '../prompt-queue.ts';
import { fromNow } from './expressions.ts';
import { type ClaimKey, ownedBy, type PromptsCollection } from './prompts-collection.ts';
import type { PromptFields, PromptUpdate } from './statement-types.ts';

export async function renew(
  prompts: PromptsCollection,
  key: ClaimKey,
  progress: JobProgress | undefined,
): Promise<boolean> {
  const shown: PromptFields =
    progress === undefined ? {} : { 'job.progress': { step: progress.step, steps: progress.steps } };
  const pipeline: PromptUpdate = [{ $set: { 'job.lease_until': fromNow(prompts.leaseMs), ...shown } }];
  const { matchedCount } = await prompts.run(() => prompts.collection.updateOne(ownedBy(key), pipeline));
  return matchedCount === 1;
}
