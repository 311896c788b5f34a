/** Fail: the job ends in error. Images of an earlier run are no longer named. */
import { errorText, type FailureRecord } from '../failure-text.ts';
import type { OwedWebhook } from '../webhook-outbox.ts';
import { literal } from './expressions.ts';
import { oweWebhook } from './owe-webhook.ts';
import { type ClaimKey, hasEnded, ownedBy, type PromptsCollection } from './prompts-collection.ts';
import type { PromptPath, PromptUpdate, UpdateStage } from './statement-types.ts';
import { type ProvenWebhook, prove } from './webhook-proof.ts';

/** Fields that a failed document loses. The token stays, so that a repeated write is recognized. */
const NO_LONGER_THERE = [
  'image_url',
  'image_urls',
  'completed_at',
  'job.lease_until',
  'job.owner',
  'job.progress',
  'job.awaits_retry',
  'job.cancel_at',
  'job.resume',
] as const satisfies readonly PromptPath[];

/** A list of the user's own under the name `job` stays as it is: a path into it would reach into each of its elements. */
const SET_LIST_ASIDE: UpdateStage = {
  $set: { job: { $cond: [{ $isArray: ['$job'] }, { text2img_list: '$job' }, '$job'] } },
};
const PUT_LIST_BACK: UpdateStage = {
  $set: { job: { $cond: [{ $isArray: ['$job.text2img_list'] }, '$job.text2img_list', '$job'] } },
};

/** For statements that fail documents. @param alsoGone fields that are removed too */
export function failPipeline(
  failure: FailureRecord,
  webhook?: ProvenWebhook,
  alsoGone: readonly PromptPath[] = [],
): PromptUpdate {
  return [
    SET_LIST_ASIDE,
    { $set: { status: 'error', error: literal(errorText(failure)), error_at: '$$NOW', ...oweWebhook(webhook) } },
    { $unset: [...NO_LONGER_THERE, ...alsoGone] },
    PUT_LIST_BACK,
  ];
}

export interface FailOptions {
  readonly failure: FailureRecord;
  readonly webhook: OwedWebhook | undefined;
}

export async function fail(
  prompts: PromptsCollection,
  key: ClaimKey,
  { failure, webhook }: FailOptions,
): Promise<boolean> {
  const pipeline = failPipeline(failure, await prove(prompts, key.id, webhook));
  return prompts.run(async () => {
    const { matchedCount } = await prompts.collection.updateOne(ownedBy(key), pipeline);
    return matchedCount === 1 || hasEnded(prompts, key, 'error');
  });
}
