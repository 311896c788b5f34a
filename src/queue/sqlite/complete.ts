/** Complete: the pictures are stored, the document says where. */
import type { CompletionRecord } from '../prompt-queue.ts';
import { type Database, NOW_MS } from './database.ts';

const COMPLETE = `
UPDATE prompts SET status = 'completed', image_urls = ?1, seed = ?2, parameters = ?3, warnings = ?4, finished_ms = ${NOW_MS},
  error = NULL, lease_until_ms = NULL, owner = NULL, progress_step = NULL, progress_steps = NULL
WHERE id = ?5 AND token = ?6 AND status = 'processing'`;

/** The token stays, so that a repetition after a lost answer is known as one. */
const COMPLETED_ALREADY = `SELECT 1 FROM prompts WHERE id = ?1 AND token = ?2 AND status = 'completed'`;

export function complete(
  database: Database,
  claim: { readonly id: string; readonly token: string },
  record: CompletionRecord,
): boolean {
  const { imageUrls, seed, parameters, warnings } = record;
  const values = [JSON.stringify(imageUrls), seed, JSON.stringify(parameters), JSON.stringify(warnings)];
  if (database.run(COMPLETE, ...values, claim.id, claim.token) === 1) return true;
  return database.get(COMPLETED_ALREADY, claim.id, claim.token) !== undefined;
}
