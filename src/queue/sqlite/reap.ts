/** Reap: documents whose lease ran out on their last attempt end as errors, without being read. */
import { errorText } from '../failure-text.ts';
import { type Database, NOW_MS } from './database.ts';

const REAP = `
UPDATE prompts SET status = 'error', error = ?1, finished_ms = ${NOW_MS}, image_urls = NULL, token = NULL, owner = NULL, lease_until_ms = NULL,
  progress_step = NULL, progress_steps = NULL
WHERE status = 'processing' AND lease_until_ms <= ${NOW_MS} AND attempts >= ?2`;

export function reap(database: Database, maxAttempts: number): number {
  const message = `all ${maxAttempts} attempts ended without a verdict.`;
  return database.run(REAP, errorText({ code: 'attempts_exhausted', message }), maxAttempts);
}
