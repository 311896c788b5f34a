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

const ENDED_AT: Expression = { $ifNull: ['$completed_at', '$error_at'] };
/** Another program may have written anything there. */
const MS_SINCE_END: Expression = {
  $cond: [{ $eq: [{ $type: ENDED_AT }, 'date'] }, { $subtract: ['$$NOW', ENDED_AT] }, null],
};

interface DueHooks {
  readonly hooks: readonly unknown[];
  readonly count: number;
  /** The document is still due at the place's time. */
  readonly isThere: boolean;
  /** Milliseconds since its job ended. */
  readonly endedMsAgo: number | undefined;
}

/** Up to `limit` that are due, and how many there are. */
export async function dueHooks(prompts: PromptsCollection, place: WebhookPlace, limit: number): Promise<DueHooks> {
  const found = await prompts.run(() =>
    prompts.collection.findOne(filterOfPlace(place), {
      projection: { hooks: { $slice: [DUE_HOOKS, limit] }, count: { $size: DUE_HOOKS }, ended_ms_ago: MS_SINCE_END },
    }),
  );
  const hooks = found?.['hooks'];
  const endedMsAgo = Number(found?.['ended_ms_ago'] ?? Number.NaN);
  return {
    hooks: Array.isArray(hooks) ? hooks : [],
    count: Number(found?.['count'] ?? 0),
    isThere: found !== null,
    endedMsAgo: Number.isFinite(endedMsAgo) ? endedMsAgo : undefined,
  };
}

export function wholeOf(hooks: readonly unknown[]): readonly WholeHook[] {
  return hooks.map(hookOf).filter((hook): hook is WholeHook => hook?.body !== undefined);
}
