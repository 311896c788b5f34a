/** Return attempts: a document that was put off turned out to be innocent. It is pending again, and those attempts do not count. */
import { promptIdText } from '../../job/document-id.ts';
import type { WaitingPrompt } from '../prompt-queue.ts';
import type { Statements } from './statements.ts';

// This token was written when the document was put off. It is nobody's claim, and a later claim has another token.
const RETURN_ATTEMPTS = `
UPDATE prompts SET status = 'pending', resume = 1, attempts = max(0, attempts - ?1), token = NULL, lease_until_ms = NULL, awaits_retry = 0
WHERE id = ?2 AND run_id = ?3 AND token = ?4 AND status = 'processing'`;

export function returnAttempts(statements: Statements, { id, runId, waitToken, attempts }: WaitingPrompt): boolean {
  return statements.run(RETURN_ATTEMPTS, attempts, promptIdText(id), runId, waitToken) === 1;
}
