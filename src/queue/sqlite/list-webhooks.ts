/** The webhooks of the outbox as operators see them: listed and counted, and when the next one is due. */
import { attemptsOf, dateOf, textOr, webhookSummary } from '../job-record.ts';
import type { ListWebhooks, WebhookState, WebhookSummary } from '../webhook-outbox.ts';
import { timeOf } from './rows.ts';
import { NOW_MS, type Row, type Statements } from './statements.ts';

const STATES = ['pending', 'delivered', 'dead'] as const satisfies readonly WebhookState[];
const MAX_SHOWN = 4096;

const LIST = `SELECT * FROM webhooks WHERE ?1 IS NULL OR state = ?1 ORDER BY seq DESC LIMIT ?2`;
/** From its index. */
const LIST_OF_PROMPT = `SELECT * FROM webhooks WHERE prompt_id = ?3 AND (?1 IS NULL OR state = ?1) ORDER BY seq DESC LIMIT ?2`;
/** Each from its partial index: the delivered ones are in neither. */
const COUNT_PENDING = `SELECT count(*) AS count FROM webhooks WHERE state = 'pending'`;
const COUNT_DEAD = `SELECT count(*) AS count FROM webhooks WHERE state = 'dead'`;
const NEXT_DUE = `SELECT min(due_ms) - ${NOW_MS} AS wait_ms FROM webhooks WHERE state = 'pending'`;

export const NOTHING_OWED = { pending: 0, dead: 0 } as const;

export function listWebhooks(
  statements: Statements,
  { state, limit, promptId }: ListWebhooks,
): readonly WebhookSummary[] {
  const page = [state ?? null, limit];
  return promptId === undefined
    ? statements.each(LIST, page, toSummary)
    : statements.each(LIST_OF_PROMPT, [...page, promptId], toSummary);
}

export function countWebhooks(statements: Statements): { readonly pending: number; readonly dead: number } {
  return {
    pending: Number(statements.get(COUNT_PENDING)?.['count']),
    dead: Number(statements.get(COUNT_DEAD)?.['count']),
  };
}

export function msUntilNextWebhook(statements: Statements): number | undefined {
  const wait = statements.get(NEXT_DUE)?.['wait_ms'];
  return typeof wait === 'number' ? Math.max(0, wait) : undefined;
}

function toSummary(row: Row): WebhookSummary {
  return webhookSummary(String(row['prompt_id']), {
    id: String(row['id']),
    state: STATES.find((one) => one === row['state']) ?? 'dead',
    attempts: attemptsOf(row['attempts']),
    url: textOr(row['url'], MAX_SHOWN),
    error: textOr(row['error'], MAX_SHOWN),
    due: dateOf(timeOf(row['due_ms'])),
    deliveredAt: dateOf(timeOf(row['delivered_ms'])),
  });
}
