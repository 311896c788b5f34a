/** Due now: pending webhooks whose next attempt is later are due at once. A webhook that a worker is sending just now stays as it is. */
import { ANY_DATE, literal } from './expressions.ts';
import { HAS_DUE_DATE, HOOKS, mapHooks, SET_DUE } from './hook-expressions.ts';
import type { PromptsCollection } from './prompts-collection.ts';
import type { Expression, HookFilter, PromptFilter, PromptUpdate } from './statement-types.ts';
import { filterOfId } from './webhook-place.ts';
import { isRefusal } from './webhook-walk.ts';

const BATCH = 100;

/** @returns how many */
export async function dueNow(prompts: PromptsCollection, id: string | undefined): Promise<number> {
  const isNamed: Expression = id === undefined ? true : { $eq: ['$$hook.id', literal(id)] };
  const isOne: Expression = {
    $and: [HAS_DUE_DATE, { $eq: [{ $ifNull: ['$$hook.token', null] }, null] }, isNamed],
  };
  const due: Expression = { $mergeObjects: ['$$hook', { due: { $min: ['$$hook.due', '$$NOW'] } }] };
  const update: PromptUpdate = [{ $set: { 'job.hooks': mapHooks({ $cond: [isOne, due, '$$hook'] }) } }, SET_DUE];
  const named: HookFilter = { state: 'pending', token: null, ...(id === undefined ? {} : { id }) };
  const holds: PromptFilter = { 'job.hooks': { $elemMatch: named } };
  const documents = prompts.collection.find(
    { 'job.hook_due': ANY_DATE, ...holds },
    {
      projection: { count: { $size: { $filter: { input: HOOKS, as: 'hook', cond: isOne } } } },
      batchSize: BATCH,
      // No hint: this date is in one index only, so the server takes it, and a cursor could not be sent again without it.
    },
  );
  let changed = 0;
  for await (const document of documents) {
    try {
      const filter: PromptFilter = { ...filterOfId(document._id), ...holds };
      await prompts.run(() => prompts.collection.updateOne(filter, update));
      changed += Number(document['count']);
    } catch (error) {
      // The document cannot be changed, which is no reason to leave the others.
      if (!isRefusal(error)) throw error;
    }
  }
  return changed;
}
