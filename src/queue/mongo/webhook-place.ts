/** A document with a due webhook. */
import { type HookRecord, hookOf } from '../job-record.ts';
import { documentIdOf } from './bson-ids.ts';
import { ANY_DATE } from './expressions.ts';
import { HOOKS, IS_DUE } from './hook-expressions.ts';
import { byId, type PromptsCollection } from './prompts-collection.ts';
import type { Expression, PromptFilter } from './statement-types.ts';

export interface WebhookPlace {
  /** The `_id`, as the driver gives it. */
  readonly id: unknown;
  readonly due: Date;
}

/** One that can be sent. */
export type WholeHook = HookRecord & { readonly body: string };

const DUE_HOOKS: Expression = { $filter: { input: HOOKS, as: 'hook', cond: IS_DUE } };

/** The document while it is due at this time. */
export function filterOfPlace({ id, due }: WebhookPlace): PromptFilter {
  return { ...filterOfId(id), 'job.hook_due': due };
}

/** The document with this `_id`; where that does not survive JavaScript, `otherwise` must find it. */
export function filterOfId(id: unknown, otherwise: PromptFilter = { 'job.hook_due': ANY_DATE }): PromptFilter {
  const isSure = typeof id === 'string' ? !id.includes('\uFFFD') : documentIdOf(id).kind !== 'other';
  return isSure ? byId(id) : otherwise;
}

/** Up to `limit` that are due, and how many there are. `isThere`: the document is still due at the place's time. */
export async function dueHooks(
  prompts: PromptsCollection,
  place: WebhookPlace,
  limit: number,
): Promise<{ readonly hooks: readonly unknown[]; readonly count: number; readonly isThere: boolean }> {
  const found = await prompts.run(() =>
    prompts.collection.findOne(filterOfPlace(place), {
      projection: { hooks: { $slice: [DUE_HOOKS, limit] }, count: { $size: DUE_HOOKS } },
    }),
  );
  const hooks = found?.['hooks'];
  return { hooks: Array.isArray(hooks) ? hooks : [], count: Number(found?.['count'] ?? 0), isThere: found !== null };
}

export function wholeOf(hooks: readonly unknown[]): readonly WholeHook[] {
  return hooks.map(hookOf).filter((hook): hook is WholeHook => hook?.body !== undefined);
}
