/**
 * Cancel: an operator, or the request that waits for it, ends a document that has not ended. Its worker loses the token and notices when it next renews
 * the lease.
 */
import type { CancelOptions } from '../prompt-queue.ts';
import { cancelled, OPEN_STATUSES } from '../transitions.ts';
import { failPipeline } from './fail.ts';
import { byId, type PromptsCollection } from './prompts-collection.ts';
import type { PromptFilter } from './statement-types.ts';

export async function cancel(
  prompts: PromptsCollection,
  id: unknown,
  { message, door }: CancelOptions = {},
): Promise<boolean> {
  const ofDoor: PromptFilter = door === undefined ? {} : { 'job.door': { $eq: door } };
  const filter: PromptFilter = { ...byId(id), status: { $in: OPEN_STATUSES }, ...ofDoor };
  const pipeline = failPipeline(cancelled(message), undefined, ['job.token']);
  const { modifiedCount } = await prompts.run(() => prompts.collection.updateOne(filter, pipeline));
  return modifiedCount === 1;
}
