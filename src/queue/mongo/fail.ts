/** Fail: a verdict. Pictures of an earlier run are no longer named. */
import type { Document } from 'mongodb';
import { errorText, type FailureRecord } from '../failure-text.ts';
import type { OwedWebhook } from '../webhook-outbox.ts';
import { oweWebhook } from './owe-webhook.ts';
import { literal } from './expressions.ts';
import { type ClaimKey, hasEnded, ownedBy, type PromptsCollection } from './prompts-collection.ts';
import { type ProvenWebhook, prove } from './webhook-proof.ts';

/** What a failed document no longer has; the token stays, so that a repetition is known as one. */
const NO_LONGER_THERE = [
  'image_url',
  'image_urls',
  'completed_at',
  'job.lease_until',
  'job.owner',
  'job.progress',
  'job.awaits_retry',
  'job.resume',
] as const;

/** For statements that fail documents. */
export function failPipeline(failure: FailureRecord, webhook?: ProvenWebhook): Document[] {
  return [
    { $set: { status: 'error', error: literal(errorText(failure)), error_at: '$$NOW', ...oweWebhook(webhook) } },
    { $unset: [...NO_LONGER_THERE] },
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
