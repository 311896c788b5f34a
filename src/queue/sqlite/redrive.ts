/** Redrive: webhooks that failed for good are due again, one by its id, or all. */
import { NOW_MS, type Statements } from './statements.ts';

const REDRIVE = `
UPDATE webhooks SET state = 'pending', attempts = 0, token = NULL, due_ms = ${NOW_MS}
WHERE state = 'dead' AND (?1 IS NULL OR id = ?1)`;

/** @returns how many */
export function redrive(statements: Statements, id: string | undefined): number {
  return statements.run(REDRIVE, id ?? null);
}
