/** Pending rows whose model no living worker claims. The table keeps everything but text out of this column. For `doctor`. */
import type { ModelSelection } from '../prompt-queue.ts';
import { MAX_STUCK_TOLD, unservedSentence } from '../transitions.ts';
import { isFor, parametersOf } from './expressions.ts';
import type { Statements } from './statements.ts';

/** Another program may have put megabytes there. */
const MODEL_LENGTH = 200;
const UNSERVED = `
SELECT id, substr(model, 1, ${MODEL_LENGTH}) AS name FROM prompts
WHERE status = 'pending' AND NOT ${isFor({ named: '?1', unnamed: '?2' })} ORDER BY seq LIMIT ${MAX_STUCK_TOLD}`;

/** @param served undefined: there are none @returns sentences */
export function unserved(statements: Statements, served: ModelSelection | undefined): readonly string[] {
  return statements
    .all(UNSERVED, ...parametersOf(served))
    .map(({ id, name }) => unservedSentence(String(id), typeof name === 'string' ? name : null));
}
