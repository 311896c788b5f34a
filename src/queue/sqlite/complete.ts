/** Complete: the images are stored. The document gets their URLs and its webhook. */
import type { CompletionRecord } from '../prompt-queue.ts';
import type { OwedWebhook } from '../webhook-outbox.ts';
import { ENDED } from './expressions.ts';
import { oweWebhook } from './owe-webhook.ts';
import type { RowKey } from './rows.ts';
import type { Statements } from './statements.ts';

const COMPLETE = `
UPDATE prompts SET status = 'completed', image_urls = ?1, seed = ?2, parameters = ?3, warnings = ?4, error = NULL, ${ENDED}
WHERE id = ?5 AND token = ?6 AND status = 'processing'`;

/** The token stays, so that a repetition after a lost answer is known as one. */
const COMPLETED_ALREADY = `SELECT 1 FROM prompts WHERE id = ?1 AND token = ?2 AND status = 'completed'`;

export function complete(
  statements: Statements,
  claim: RowKey,
  { record, webhook }: { readonly record: CompletionRecord; readonly webhook: OwedWebhook | undefined },
): boolean {
  const { imageUrls, seed, parameters, warnings } = record;
  const values = [JSON.stringify(imageUrls), seed, JSON.stringify(parameters), JSON.stringify(warnings)];
  return statements.transaction(() => {
    if (statements.run(COMPLETE, ...values, claim.id, claim.token) !== 1)
      return statements.get(COMPLETED_ALREADY, claim.id, claim.token) !== undefined;
    oweWebhook(statements, claim.id, webhook);
    return true;
  });
}
