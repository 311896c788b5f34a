/** Cancel: an operator ends a document that has not ended. Its worker loses the token and notices at its next heartbeat. */
import { failPipeline } from './fail.ts';
import { byId, type PromptsCollection } from './prompts-collection.ts';

export async function cancel(prompts: PromptsCollection, id: unknown): Promise<boolean> {
  const filter = { ...byId(id), status: { $in: ['pending', 'processing'] } };
  const failure = { code: 'cancelled', message: 'the job was cancelled by an operator.' } as const;
  const pipeline = failPipeline(failure, undefined, ['job.token']);
  const { modifiedCount } = await prompts.run(() => prompts.collection.updateOne(filter as never, pipeline as never));
  return modifiedCount === 1;
}
