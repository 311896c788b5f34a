/** Complete: the images are stored. The document gets their URLs and its webhook. */
import type { CompletionRecord } from '../prompt-queue.ts';
import type { OwedWebhook } from '../webhook-outbox.ts';
import { fieldsWithWidths, literal, wholeNumber } from './expressions.ts';
import { oweWebhook } from './owe-webhook.ts';
import { type ClaimKey, hasEnded, ownedBy, type PromptsCollection } from './prompts-collection.ts';
import type { PromptUpdate } from './statement-types.ts';
import { type ProvenWebhook, prove } from './webhook-proof.ts';

export interface CompleteOptions {
  readonly record: CompletionRecord;
  readonly webhook: OwedWebhook | undefined;
}

export async function complete(
  prompts: PromptsCollection,
  key: ClaimKey,
  { record, webhook }: CompleteOptions,
): Promise<boolean> {
  const pipeline = completePipeline(record, await prove(prompts, key.id, webhook));
  return prompts.run(async () => {
    const { matchedCount } = await prompts.collection.updateOne(ownedBy(key), pipeline);
    return matchedCount === 1 || hasEnded(prompts, key, 'completed');
  });
}

function completePipeline(
  { imageUrls, seed, parameters, warnings }: CompletionRecord,
  webhook: ProvenWebhook | undefined,
): PromptUpdate {
  const [first = ''] = imageUrls;
  const isSeveral = imageUrls.length > 1;
  return [
    {
      $set: {
        status: 'completed',
        image_url: literal(first),
        ...(isSeveral ? { image_urls: literal(imageUrls) } : {}),
        seed: literal(wholeNumber(seed)),
        completed_at: '$$NOW',
        'job.parameters': literal(fieldsWithWidths(parameters)),
        'job.warnings': literal(warnings),
        ...oweWebhook(webhook),
      },
    },
    {
      $unset: [
        'error',
        'error_at',
        'job.lease_until',
        'job.owner',
        'job.progress',
        'job.awaits_retry',
        'job.cancel_at',
        'job.last_error',
        ...(isSeveral ? [] : (['image_urls'] as const)),
      ],
    },
  ];
}
