/** Fail: a verdict. Pictures of an earlier run are no longer named. */
import { errorText, type FailureRecord } from '../failure-text.ts';
import type { OwedWebhook } from '../webhook-outbox.ts';
import { type Database, NOW_MS } from './database.ts';
import { oweWebhook } from './outbox.ts';

const FAIL = `
UPDATE prompts SET status = 'error', error = ?1, finished_ms = ${NOW_MS}, image_urls = NULL, lease_until_ms = NULL, owner = NULL,
  progress_step = NULL, progress_steps = NULL
WHERE id = ?2 AND token = ?3 AND status = 'processing'`;

const FAILED_ALREADY = `SELECT 1 FROM prompts WHERE id = ?1 AND token = ?2 AND status = 'error'`;

export function fail(
  database: Database,
  claim: { readonly id: string; readonly token: string },
  { failure, webhook }: { readonly failure: FailureRecord; readonly webhook: OwedWebhook | undefined },
): boolean {
  return database.transaction(() => {
    if (database.run(FAIL, errorText(failure), claim.id, claim.token) !== 1)
      return database.get(FAILED_ALREADY, claim.id, claim.token) !== undefined;
    oweWebhook(database, claim.id, webhook);
    return true;
  });
}
