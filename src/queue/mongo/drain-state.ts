/** What tells a worker that there is nothing to do: whether anything is left, and when something falls due. */
import { ANY_DATE, statusIs } from './expressions.ts';
import type { PromptsCollection } from './prompts-collection.ts';
import type { SkipList } from './skip-list.ts';

/** Documents that are not ours to claim (`status: ["pending"]`, or passed over) are nobody's work. */
export async function isDrained(prompts: PromptsCollection, skip: SkipList): Promise<boolean> {
  const { collection, hints } = prompts;
  const _id = { $nin: skip.ids };
  const pending = { status: 'pending', $expr: statusIs('pending'), _id };
  const processing = { status: 'processing', 'job.lease_until': ANY_DATE, $expr: statusIs('processing'), _id };
  const options = { projection: { _id: 1 } };
  if ((await prompts.run(() => collection.findOne(pending as never, { ...options, ...hints.pending }))) !== null)
    return false;
  return (
    (await prompts.run(() => collection.findOne(processing as never, { ...options, ...hints.processing }))) === null
  );
}

export async function msUntilNextDue(prompts: PromptsCollection, skip: SkipList): Promise<number | undefined> {
  const { collection, hints } = prompts;
  const filter = { status: 'processing', 'job.lease_until': ANY_DATE, _id: { $nin: skip.ids } };
  const wait = { wait_ms: { $subtract: ['$job.lease_until', '$$NOW'] } };
  const found = await prompts.run(() =>
    collection.findOne(filter as never, { projection: wait, sort: { 'job.lease_until': 1 }, ...hints.processing }),
  );
  const waitMs = found?.['wait_ms'];
  return waitMs === undefined || waitMs === null ? undefined : Math.max(0, Number(waitMs));
}
