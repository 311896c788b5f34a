/** Remove: deletes a document that has ended, and its webhooks. */
import { ENDED_STATUSES } from '../transitions.ts';
import { oneOf } from './expressions.ts';
import type { Statements } from './statements.ts';

const REMOVE = `DELETE FROM prompts WHERE id = ?1 AND status IN ${oneOf(ENDED_STATUSES)}`;
const REMOVE_WEBHOOKS = `DELETE FROM webhooks WHERE prompt_id = ?1`;

export function remove(statements: Statements, id: string): boolean {
  return statements.transaction(() => {
    if (statements.run(REMOVE, id) !== 1) return false;
    statements.run(REMOVE_WEBHOOKS, id);
    return true;
  });
}
