/** The webhook outbox of the embedded queue: a table beside the prompts, written in the same transaction. */
import type {
  DeliveryOutcome,
  DueWebhook,
  OwedWebhook,
  WebhookOutbox,
  WebhookState,
  WebhookSummary,
} from '../webhook-outbox.ts';
import { attemptsOf, dateOf, textOr } from '../job-record.ts';
import type { Database } from './database.ts';
import { timeOf } from './rows.ts';
import { NOW_MS, type Row, type Statements } from './statements.ts';

const STATES = ['pending', 'delivered', 'dead'] as const satisfies readonly WebhookState[];
const MAX_SHOWN = 4096;

const OWE = `
INSERT INTO webhooks (id, prompt_id, body, url, due_ms) VALUES (?1, ?2, ?3, ?4, ${NOW_MS})
ON CONFLICT (id) DO NOTHING`;

const CLAIM_DUE = `
UPDATE webhooks SET due_ms = ${NOW_MS} + ?1, token = lower(hex(randomblob(12)))
WHERE seq IN (SELECT seq FROM webhooks WHERE state = 'pending' AND due_ms <= ${NOW_MS} ORDER BY due_ms, seq LIMIT ?2)
RETURNING *`;

const TRIED = 'attempts = attempts + 1, token = NULL';
/** Delivered is delivered, whoever holds it now. */
const DELIVERED = `UPDATE webhooks SET ${TRIED}, state = 'delivered', delivered_ms = ${NOW_MS} WHERE id = ?1 AND state = 'pending'`;
const RETRY = `UPDATE webhooks SET ${TRIED}, due_ms = ${NOW_MS} + ?1, error = ?2 WHERE id = ?3 AND token = ?4 AND state = 'pending'`;
const POSTPONE = `UPDATE webhooks SET token = NULL, due_ms = ${NOW_MS} + ?1, error = ?2 WHERE id = ?3 AND token = ?4 AND state = 'pending'`;
const GIVE_UP = `UPDATE webhooks SET ${TRIED}, state = 'dead', error = ?1 WHERE id = ?2 AND token = ?3 AND state = 'pending'`;

/** So many delivered ones of a prompt are kept for whoever asks. */
const KEPT_DELIVERED = 5;
const TRIM = `
DELETE FROM webhooks WHERE prompt_id = ?1 AND state = 'delivered' AND seq NOT IN
  (SELECT seq FROM webhooks WHERE prompt_id = ?1 AND state = 'delivered' ORDER BY delivered_ms DESC, seq DESC LIMIT ${KEPT_DELIVERED})`;

const CLOSE_WITHOUT_URL = `UPDATE webhooks SET state = 'dead', token = NULL, error = ?1 WHERE state = 'pending' AND url IS NULL AND due_ms <= ${NOW_MS}`;
const LIST = `SELECT * FROM webhooks WHERE ?1 IS NULL OR state = ?1 ORDER BY seq DESC LIMIT ?2`;
const REDRIVE = `UPDATE webhooks SET state = 'pending', attempts = 0, token = NULL, due_ms = ${NOW_MS} WHERE state = 'dead' AND (?1 IS NULL OR id = ?1)`;
/** Each from its partial index: the delivered ones are in neither. */
const COUNT_PENDING = `SELECT count(*) AS count FROM webhooks WHERE state = 'pending'`;
const COUNT_DEAD = `SELECT count(*) AS count FROM webhooks WHERE state = 'dead'`;
const NEXT_DUE = `SELECT min(due_ms) - ${NOW_MS} AS wait_ms FROM webhooks WHERE state = 'pending'`;

/** Inside the transaction that finishes the prompt. */
export function oweWebhook(statements: Statements, promptId: string, webhook: OwedWebhook | undefined): void {
  if (webhook !== undefined) statements.run(OWE, webhook.id, promptId, webhook.body, webhook.url ?? null);
}

const NOTHING_OWED = { pending: 0, dead: 0 } as const;

export class SqliteOutbox implements WebhookOutbox {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  async claimDue({ limit, leaseMs, signal }: Parameters<WebhookOutbox['claimDue']>[0]): Promise<readonly DueWebhook[]> {
    return this.#database.look((statements) => statements.all(CLAIM_DUE, Math.round(leaseMs), limit).map(toDue), [], {
      signal,
    });
  }

  async record({ id, token, promptId }: DueWebhook, outcome: DeliveryOutcome): Promise<'done' | 'lost'> {
    return this.#database.perform((statements) =>
      statements.transaction(() => {
        const changed = write(statements, { id, token }, outcome);
        if (outcome.kind === 'delivered') statements.run(TRIM, promptId);
        return changed === 1 ? 'done' : 'lost';
      }),
    );
  }

  async closeWithoutUrl(error: string): Promise<number> {
    return this.#database.look((statements) => statements.run(CLOSE_WITHOUT_URL, error), 0);
  }

  async list({ state, limit }: Parameters<WebhookOutbox['list']>[0]): Promise<readonly WebhookSummary[]> {
    return this.#database.look((statements) => statements.each(LIST, [state ?? null, limit], toSummary), []);
  }

  async redrive(id?: string): Promise<number> {
    return this.#database.look((statements) => statements.run(REDRIVE, id ?? null), 0);
  }

  async counts(): Promise<{ readonly pending: number; readonly dead: number }> {
    return this.#database.look(
      (statements) => ({
        pending: Number(statements.get(COUNT_PENDING)?.['count']),
        dead: Number(statements.get(COUNT_DEAD)?.['count']),
      }),
      NOTHING_OWED,
    );
  }

  async msUntilNextDue(): Promise<number | undefined> {
    return this.#database.look((statements) => {
      const wait = statements.get(NEXT_DUE)?.['wait_ms'];
      return typeof wait === 'number' ? Math.max(0, wait) : undefined;
    }, undefined);
  }
}

function write(
  statements: Statements,
  { id, token }: { readonly id: string; readonly token: string },
  outcome: DeliveryOutcome,
): number {
  switch (outcome.kind) {
    case 'delivered':
      return statements.run(DELIVERED, id);
    case 'retry':
      return statements.run(RETRY, Math.round(outcome.delayMs), outcome.error, id, token);
    case 'postpone':
      return statements.run(POSTPONE, Math.round(outcome.delayMs), outcome.error, id, token);
    case 'dead':
      return statements.run(GIVE_UP, outcome.error, id, token);
  }
}

function toDue(row: Row): DueWebhook {
  return {
    id: String(row['id']),
    promptId: String(row['prompt_id']),
    body: String(row['body']),
    attempts: attemptsOf(row['attempts']),
    token: String(row['token']),
    ...(typeof row['url'] === 'string' ? { url: row['url'] } : {}),
  };
}

function toSummary(row: Row): WebhookSummary {
  const state = STATES.find((one) => one === row['state']) ?? 'dead';
  const [url, error] = [textOr(row['url'], MAX_SHOWN), textOr(row['error'], MAX_SHOWN)];
  const dueAt = state === 'pending' ? dateOf(timeOf(row['due_ms'])) : undefined;
  const deliveredAt = dateOf(timeOf(row['delivered_ms']));
  return {
    id: String(row['id']),
    promptId: String(row['prompt_id']),
    state,
    attempts: attemptsOf(row['attempts']),
    ...(url === undefined ? {} : { url }),
    ...(dueAt === undefined ? {} : { dueAt }),
    ...(deliveredAt === undefined ? {} : { deliveredAt }),
    ...(error === undefined ? {} : { error }),
  };
}
