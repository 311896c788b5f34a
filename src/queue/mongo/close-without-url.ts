/** Fails all due webhooks without a URL of their own. */
import { closed, IS_DUE, mapHooks, SET_DUE } from './hook-expressions.ts';
import type { PromptsCollection } from './prompts-collection.ts';
import type { Expression, PromptUpdate } from './statement-types.ts';
import { filterOfPlace } from './webhook-place.ts';
import type { WebhookWalk } from './webhook-walk.ts';

/** Looks at the index: all are meant. */
const ALL_LOOKS = 5000;

const IS_DUE_WITHOUT_URL: Expression = { $and: [IS_DUE, { $ne: [{ $type: '$$hook.url' }, 'string'] }] };

/** @returns how many documents had one */
export async function closeWithoutUrl(prompts: PromptsCollection, walk: WebhookWalk, error: string): Promise<number> {
  const update: PromptUpdate = [
    { $set: { 'job.hooks': mapHooks({ $cond: [IS_DUE_WITHOUT_URL, closed(error), '$$hook'] }) } },
    SET_DUE,
  ];
  let count = 0;
  await walk.visitAll(prompts, { isOver: () => false, looks: ALL_LOOKS }, async (place) => {
    const { modifiedCount } = await prompts.run(() => prompts.collection.updateOne(filterOfPlace(place), update));
    count += modifiedCount;
    // Where nothing was meant, it stays due for others.
    return modifiedCount === 1 ? 'moved' : 'open';
  });
  return count;
}
