/** Records the result of a webhook's attempt. A delivery counts even if another worker has leased the webhook meanwhile. */

import { attemptsOfTry, shownError } from '../transitions.ts';
import type { DeliveryOutcome, DueWebhook } from '../webhook-outbox.ts';
import { fromNow, literal, numberAt } from './expressions.ts';
import { isOwed, mapHooks, SET_DUE, TRIM_DELIVERED } from './hook-expressions.ts';
import type { PromptsCollection } from './prompts-collection.ts';
import type { Expression, HookFilter, PromptFilter, PromptUpdate } from './statement-types.ts';

export interface DeliveryRecord {
  readonly webhook: DueWebhook;
  readonly outcome: DeliveryOutcome;
  /** Finds its document. */
  readonly document: PromptFilter;
}

export async function recordDelivery(
  prompts: PromptsCollection,
  { webhook: { id, token }, outcome, document }: DeliveryRecord,
): Promise<boolean> {
  const attempts: Expression = { $add: [numberAt('$$hook.attempts'), attemptsOfTry(outcome)] };
  const after: Expression = {
    $mergeObjects: ['$$hook', { attempts, token: literal(null) }, changesOf(outcome)],
  };
  const update: PromptUpdate = [
    { $set: { 'job.hooks': mapHooks({ $cond: [isOwed(id), after, '$$hook'] }) } },
    SET_DUE,
    TRIM_DELIVERED,
  ];
  const holder: HookFilter = outcome.kind === 'delivered' ? {} : { token };
  const filter: PromptFilter = { ...document, 'job.hooks': { $elemMatch: { id, state: 'pending', ...holder } } };
  const { matchedCount } = await prompts.run(() => prompts.collection.updateOne(filter, update));
  return matchedCount === 1;
}

function changesOf(outcome: DeliveryOutcome): Expression {
  switch (outcome.kind) {
    case 'delivered':
      return { state: 'delivered', delivered_at: '$$NOW' };
    case 'dead':
      return { state: 'dead', error: literal(shownError(outcome.error)) };
    case 'retry':
    case 'postpone':
      return { due: fromNow(outcome.delayMs), error: literal(shownError(outcome.error)) };
  }
}
