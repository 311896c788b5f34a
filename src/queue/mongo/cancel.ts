/** Cancel: an operator ends a document that has not ended. Its worker loses the token and notices when it next renews the lease. */
import { CANCELLED, OPEN_STATUSES } from '../transitions.ts';
import { failPipeline } from './fail.ts';
import { byId, type PromptsCollection } from './prompts-collection.ts';
import type { PromptFilter } from './statement-types.ts';

export async function cancel(prompts: PromptsCollection, id: unknown): Promise<boolean> {
  const filter: PromptFilter = { ...byId(id), status: { $in: OPEN_STATUSES } };
  const pipeline = failPipeline(CANCELLED, undefined, ['job.token']);
  const { modifiedCount } = await prompts.run(() => prompts.collection.updateOne(filter, pipeline));
  return modifiedCount === 1;
}
