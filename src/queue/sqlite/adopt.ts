/** Adopt: another request waits for the job from now on. The one before can no longer cancel it. */
import { OPEN_STATUSES } from '../transitions.ts';
import { oneOf } from './expressions.ts';
import type { Statements } from './statements.ts';

const ADOPT = `
UPDATE prompts SET door = ?2 WHERE id = ?1 AND status IN ${oneOf(OPEN_STATUSES)} AND door IN (?2, ?3)`;

export interface Doors {
  readonly from: string;
  readonly to: string;
}

export function adopt(statements: Statements, id: string, { from, to }: Doors): boolean {
  return statements.run(ADOPT, id, to, from) === 1;
}
