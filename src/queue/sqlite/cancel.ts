/**
 * Cancel: an operator, or the request that waits for it, ends a document that has not ended. Its worker loses the token and notices when it next renews
 * the lease.
 */
import { errorText } from '../failure-text.ts';
import type { CancelOptions } from '../prompt-queue.ts';
import { cancelled, OPEN_STATUSES } from '../transitions.ts';
import { ENDED, oneOf } from './expressions.ts';
import type { Statements } from './statements.ts';

const CANCEL = `
UPDATE prompts SET status = 'error', error = ?1, ${ENDED}, image_urls = NULL, token = NULL
WHERE id = ?2 AND status IN ${oneOf(OPEN_STATUSES)} AND (?3 IS NULL OR door = ?3)`;

export function cancel(statements: Statements, id: string, { message, door }: CancelOptions = {}): boolean {
  return statements.run(CANCEL, errorText(cancelled(message)), id, door ?? null) === 1;
}
