/** Record delivery: how an attempt to deliver a webhook ended. A delivery counts even if another worker has claimed the webhook since. */
import { attemptsOfTry, KEPT_DELIVERED, shownError } from '../transitions.ts';
import type { DeliveryOutcome, DueWebhook } from '../webhook-outbox.ts';
import { NOW_MS, type Statements } from './statements.ts';

const DELIVERED = `
UPDATE webhooks SET attempts = attempts + ?1, token = NULL, state = 'delivered', delivered_ms = ${NOW_MS}
WHERE id = ?2 AND state = 'pending'`;
const TRIED_IN_VAIN = `
UPDATE webhooks SET attempts = attempts + ?1, token = NULL, error = ?2, due_ms = ${NOW_MS} + ?3
WHERE id = ?4 AND token = ?5 AND state = 'pending'`;
const GIVEN_UP = `
UPDATE webhooks SET attempts = attempts + ?1, token = NULL, error = ?2, state = 'dead'
WHERE id = ?3 AND token = ?4 AND state = 'pending'`;
const TRIM = `
DELETE FROM webhooks WHERE prompt_id = ?1 AND state = 'delivered' AND seq NOT IN
  (SELECT seq FROM webhooks WHERE prompt_id = ?1 AND state = 'delivered' ORDER BY delivered_ms DESC, seq DESC LIMIT ${KEPT_DELIVERED})`;

export function recordDelivery(
  statements: Statements,
  { id, token, promptId }: DueWebhook,
  outcome: DeliveryOutcome,
): boolean {
  const attempts = attemptsOfTry(outcome);
  switch (outcome.kind) {
    case 'delivered':
      return statements.transaction(() => {
        const changed = statements.run(DELIVERED, attempts, id);
        statements.run(TRIM, promptId);
        return changed === 1;
      });
    case 'retry':
    case 'postpone': {
      const due = [shownError(outcome.error), Math.round(outcome.delayMs)] as const;
      return statements.run(TRIED_IN_VAIN, attempts, ...due, id, token) === 1;
    }
    case 'dead':
      return statements.run(GIVEN_UP, attempts, shownError(outcome.error), id, token) === 1;
  }
}
