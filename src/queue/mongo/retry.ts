/** Retry: a finished document becomes pending as a new run. */
import { ANY_DATE } from './expressions.ts';
import { byId, type PromptsCollection } from './prompts-collection.ts';

const RETRY = [
  { $set: { status: 'pending' } },
  { $unset: ['error', 'error_at', 'job.token', 'job.resume', 'job.awaits_retry'] },
];

/** @param options with `force` also one that is `processing` without a lease that ends */
export async function retry(
  prompts: PromptsCollection,
  id: unknown,
  { force }: { readonly force: boolean },
): Promise<boolean> {
  const ended = { status: { $in: ['completed', 'error'] } };
  const stuck = { status: 'processing', 'job.lease_until': { $not: ANY_DATE } };
  const filter = { ...byId(id), ...(force ? { $or: [ended, stuck] } : ended) };
  const { modifiedCount } = await prompts.run(() => prompts.collection.updateOne(filter as never, RETRY as never));
  return modifiedCount === 1;
}
