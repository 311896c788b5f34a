/** Cancel: an operator ends a document that has not ended. Its worker loses the token and notices when it next renews the lease. */
import { errorText } from '../failure-text.ts';
import { CANCELLED, OPEN_STATUSES } from '../transitions.ts';
import { ENDED, oneOf } from './expressions.ts';
import type { Statements } from './statements.ts';

const CANCEL = `
UPDATE prompts SET status = 'error', error = ?1, ${ENDED}, image_urls = NULL, token = NULL
WHERE id = ?2 AND status IN ${oneOf(OPEN_STATUSES)}`;

export function cancel(statements: Statements, id: string): boolean {
  return statements.run(CANCEL, errorText(CANCELLED), id) === 1;
}
