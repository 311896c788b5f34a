/** Complete: the pictures are stored, the document says where, and owes its webhook from now on. */
import type { CompletionRecord } from '../prompt-queue.ts';
import type { OwedWebhook } from '../webhook-outbox.ts';
import { type Database, NOW_MS } from './database.ts';
import { oweWebhook } from './outbox.ts';

const COMPLETE = `
UPDATE prompts SET status = 'completed', image_urls = ?1, seed = ?2, parameters = ?3, warnings = ?4, finished_ms = ${NOW_MS},
  error = NULL, lease_until_ms = NULL, owner = NULL, progress_step = NULL, progress_steps = NULL
WHERE id = ?5 AND token = ?6 AND status = 'processing'`;

/** The token stays, so that a repetition after a lost answer is known as one. */
const COMPLETED_ALREADY = `SELECT 1 FROM prompts WHERE id = ?1 AND token = ?2 AND status = 'completed'`;

export function complete(
  database: Database,
  claim: { readonly id: string; readonly token: string },
  { record, webhook }: { readonly record: CompletionRecord; readonly webhook: OwedWebhook | undefined },
): boolean {
  const { imageUrls, seed, parameters, warnings } = record;
  const values = [JSON.stringify(imageUrls), seed, JSON.stringify(parameters), JSON.stringify(warnings)];
  return database.transaction(() => {
    if (database.run(COMPLETE, ...values, claim.id, claim.token) !== 1)
      return database.get(COMPLETED_ALREADY, claim.id, claim.token) !== undefined;
    oweWebhook(database, claim.id, webhook);
    return true;
  });
}
