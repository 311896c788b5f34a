/** Release: gives a document back unharmed. It is pending again, the same run goes on, and the attempt does not count. */
import type { Database } from './database.ts';

const RELEASE = `
UPDATE prompts SET status = 'pending', resume = 1, attempts = attempts - 1, token = NULL, owner = NULL, lease_until_ms = NULL,
  progress_step = NULL, progress_steps = NULL
WHERE id = ?1 AND token = ?2 AND status = 'processing'`;

export function release(database: Database, claim: { readonly id: string; readonly token: string }): boolean {
  return database.run(RELEASE, claim.id, claim.token) === 1;
}
