/** Reap: documents whose lease ran out on their last attempt end as errors, and their webhooks become pending. */
import type { Endings } from '../prompt-queue.ts';
import { attemptsExhausted } from '../transitions.ts';
import { type Ended, endUnclaimed } from './end-unclaimed.ts';
import { ATTEMPTS, LEASE_IS_OVER } from './expressions.ts';
import type { Statements } from './statements.ts';

/** In one transaction; who has more comes back. */
const MAX_ROWS = 100;

const DEAD = `
SELECT * FROM prompts WHERE status = 'processing' AND ${LEASE_IS_OVER} AND ${ATTEMPTS} >= ?1
ORDER BY lease_until_ms LIMIT ${MAX_ROWS}`;

export interface ReapOptions {
  readonly maxAttempts: number;
  readonly path: string;
  readonly endings: Endings | undefined;
}

/** Up to 100 of them. */
export function reap(statements: Statements, { maxAttempts, path, endings }: ReapOptions): readonly Ended[] {
  // Nearly always there is none, and then nobody is locked out for it.
  if (statements.get(DEAD, maxAttempts) === undefined) return [];
  const failure = attemptsExhausted(maxAttempts);
  return statements.transaction(() =>
    statements.all(DEAD, maxAttempts).map((row) => endUnclaimed(statements, row, { failure, endings, path })),
  );
}
