/** Fail: the job ends in error. Images of an earlier run are no longer named. */
import { errorText, type FailureRecord } from '../failure-text.ts';
import type { OwedWebhook } from '../webhook-outbox.ts';
import { ENDED } from './expressions.ts';
import { oweWebhook } from './owe-webhook.ts';
import type { RowKey } from './rows.ts';
import type { Statements } from './statements.ts';

const FAIL = `
UPDATE prompts SET status = 'error', error = ?1, ${ENDED}, image_urls = NULL
WHERE id = ?2 AND token = ?3 AND status = 'processing'`;

const FAILED_ALREADY = `SELECT 1 FROM prompts WHERE id = ?1 AND token = ?2 AND status = 'error'`;

export function fail(
  statements: Statements,
  claim: RowKey,
  { failure, webhook }: { readonly failure: FailureRecord; readonly webhook: OwedWebhook | undefined },
): boolean {
  return statements.transaction(() => {
    if (statements.run(FAIL, errorText(failure), claim.id, claim.token) !== 1)
      return statements.get(FAILED_ALREADY, claim.id, claim.token) !== undefined;
    oweWebhook(statements, claim.id, webhook);
    return true;
  });
}
