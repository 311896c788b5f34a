/** Retry: a finished document becomes pending as a new run; by force also one that is processing and that no worker can claim. */
import { ENDED_STATUSES } from '../transitions.ts';
import { LEASE_IS_OURS, statusIs } from './expressions.ts';
import { byId, type PromptsCollection } from './prompts-collection.ts';
import type { PromptFilter, PromptUpdate } from './statement-types.ts';

export const RETRY: PromptUpdate = [
  { $set: { status: 'pending' } },
  {
    $unset: [
      'error',
      'error_at',
      'job.token',
      'job.resume',
      'job.awaits_retry',
      'job.cancel_at',
      'job.worker',
      'job.leased_at',
    ],
  },
];

export interface RetryOptions {
  readonly force?: boolean | undefined;
}

export async function retry(
  prompts: PromptsCollection,
  id: unknown,
  { force = false }: RetryOptions = {},
): Promise<boolean> {
  const hasEnded: PromptFilter = { status: { $in: ENDED_STATUSES } };
  const isNobodys: PromptFilter = {
    status: 'processing',
    $expr: { $and: [statusIs('processing'), { $not: [LEASE_IS_OURS] }] },
  };
  const filter: PromptFilter = { ...byId(id), $or: force ? [hasEnded, isNobodys] : [hasEnded] };
  const { modifiedCount } = await prompts.run(() => prompts.collection.updateOne(filter, RETRY));
  return modifiedCount === 1;
}
