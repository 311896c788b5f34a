/** Due now: pending webhooks whose next attempt is later are due at once. Webhooks that are being sent now are left alone. */
import { NOW_MS, type Statements } from './statements.ts';

const DUE_NOW = `
UPDATE webhooks SET due_ms = min(due_ms, ${NOW_MS})
WHERE state = 'pending' AND token IS NULL AND (?1 IS NULL OR id = ?1)`;

/** @returns how many */
export function dueNow(statements: Statements, id: string | undefined): number {
  return statements.run(DUE_NOW, id ?? null);
}
