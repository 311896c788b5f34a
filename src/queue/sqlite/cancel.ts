/** Cancel: an operator ends a document that has not ended. Its worker loses the token and notices at its next heartbeat. */
import { errorText } from '../failure-text.ts';
import { type Database, NOW_MS } from './database.ts';

const CANCEL = `
UPDATE prompts SET status = 'error', error = ?1, finished_ms = ${NOW_MS}, image_urls = NULL, token = NULL, owner = NULL, lease_until_ms = NULL,
  progress_step = NULL, progress_steps = NULL
WHERE id = ?2 AND status IN ('pending', 'processing')`;

export function cancel(database: Database, id: string): boolean {
  return (
    database.run(CANCEL, errorText({ code: 'cancelled', message: 'the job was cancelled by an operator.' }), id) === 1
  );
}
