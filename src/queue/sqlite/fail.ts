/** Fail: a verdict. Pictures of an earlier run are no longer named. */
import type { FailureRecord } from '../prompt-queue.ts';
import { type Database, NOW_MS } from './database.ts';

const MAX_ERROR_LENGTH = 500;

const FAIL = `
UPDATE prompts SET status = 'error', error = ?1, finished_ms = ${NOW_MS}, image_urls = NULL, lease_until_ms = NULL, owner = NULL,
  progress_step = NULL, progress_steps = NULL
WHERE id = ?2 AND token = ?3 AND status = 'processing'`;

const FAILED_ALREADY = `SELECT 1 FROM prompts WHERE id = ?1 AND token = ?2 AND status = 'error'`;

export function fail(
  database: Database,
  claim: { readonly id: string; readonly token: string },
  failure: FailureRecord,
): boolean {
  if (database.run(FAIL, errorText(failure), claim.id, claim.token) === 1) return true;
  return database.get(FAILED_ALREADY, claim.id, claim.token) !== undefined;
}

/** What stands in the document: the code, then the sentence. */
export function errorText({ code, message }: FailureRecord): string {
  const text = `${code}: ${message}`;
  return text.length <= MAX_ERROR_LENGTH ? text : `${text.slice(0, MAX_ERROR_LENGTH - 1)}…`;
}
