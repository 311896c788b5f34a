/** Close without URL: all webhooks that are due and have no URL of their own fail for good. */
import { NOW_MS, type Statements } from './statements.ts';

const CLOSE_WITHOUT_URL = `
UPDATE webhooks SET state = 'dead', token = NULL, error = ?1
WHERE state = 'pending' AND url IS NULL AND due_ms <= ${NOW_MS}`;

/** @returns how many */
export function closeWithoutUrl(statements: Statements, error: string): number {
  return statements.run(CLOSE_WITHOUT_URL, error);
}
