/** Retry: a finished document becomes pending as a new run. */
import { byId, type PromptsCollection } from './prompts-collection.ts';

const RETRY = [
  { $set: { status: 'pending' } },
  { $unset: ['error', 'error_at', 'job.token', 'job.resume', 'job.awaits_retry'] },
];

export async function retry(prompts: PromptsCollection, id: unknown): Promise<boolean> {
  const filter = { ...byId(id), status: { $in: ['completed', 'error'] } };
  const { modifiedCount } = await prompts.run(() => prompts.collection.updateOne(filter as never, RETRY as never));
  return modifiedCount === 1;
}
