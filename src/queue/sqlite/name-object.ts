/** Name object: a renewal that also records the name under which this document's images are stored from now on. */
import type { RowKey } from './rows.ts';
import { NOW_MS, type Statements } from './statements.ts';

const NAME_OBJECT = `
UPDATE prompts SET lease_until_ms = ${NOW_MS} + ?1, object_name = ?2
WHERE id = ?3 AND token = ?4 AND status = 'processing'`;

export function nameObject(
  statements: Statements,
  claim: RowKey,
  { leaseMs, objectName }: { readonly leaseMs: number; readonly objectName: string },
): boolean {
  return statements.run(NAME_OBJECT, leaseMs, objectName, claim.id, claim.token) === 1;
}
