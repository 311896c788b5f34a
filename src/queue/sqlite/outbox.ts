/** The webhook outbox of the embedded queue: a table beside the prompts, written in the same transaction. */
import type {
  DeliveryOutcome,
  DueWebhook,
  OwedWebhook,
  WebhookOutbox,
  WebhookState,
  WebhookSummary,
} from '../webhook-outbox.ts';
import { type Database, NOW_MS, type Row } from './database.ts';

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
const REDRIVE = `UPDATE webhooks SET state = 'pending', attempts = 0, due_ms = ${NOW_MS} WHERE state = 'dead' AND (?1 IS NULL OR id = ?1)`;
const COUNTS = `SELECT state, count(*) AS count FROM webhooks WHERE state <> 'delivered' GROUP BY state`;
const NEXT_DUE = `SELECT min(due_ms) - ${NOW_MS} AS wait_ms FROM webhooks WHERE state = 'pending'`;

/** Inside the transaction that finishes the prompt. */
export function oweWebhook(database: Database, promptId: string, webhook: OwedWebhook | undefined): void {
  if (webhook !== undefined) database.run(OWE, webhook.id, promptId, webhook.body, webhook.url ?? null);
}

export class SqliteOutbox implements WebhookOutbox {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  async claimDue({
    limit,
    leaseMs,
  }: {
    readonly limit: number;
    readonly leaseMs: number;
  }): Promise<readonly DueWebhook[]> {
    return this.#database.all(CLAIM_DUE, leaseMs, limit).map(toDue);
  }

  async record({ id, token, promptId }: DueWebhook, outcome: DeliveryOutcome): Promise<'done' | 'lost'> {
    return this.#database.transaction(() => {
      const changed = this.#write({ id, token }, outcome);
      if (outcome.kind === 'delivered') this.#database.run(TRIM, promptId);
      return changed === 1 ? 'done' : 'lost';
    });
  }

  async closeWithoutUrl(error: string): Promise<number> {
    return this.#database.run(CLOSE_WITHOUT_URL, error);
  }

  async list({
    state,
    limit,
  }: {
    readonly state?: WebhookState;
    readonly limit: number;
  }): Promise<readonly WebhookSummary[]> {
    return this.#database.all(LIST, state ?? null, limit).map(toSummary);
  }

  async redrive(id?: string): Promise<number> {
    return this.#database.run(REDRIVE, id ?? null);
  }

  async counts(): Promise<{ readonly pending: number; readonly dead: number }> {
    const found = { pending: 0, dead: 0 };
    for (const row of this.#database.all(COUNTS)) found[row['state'] as keyof typeof found] = Number(row['count']);
    return found;
  }

  async msUntilNextDue(): Promise<number | undefined> {
    const wait = this.#database.get(NEXT_DUE)?.['wait_ms'];
    return typeof wait === 'number' ? Math.max(0, wait) : undefined;
  }

  #write({ id, token }: { readonly id: string; readonly token: string }, outcome: DeliveryOutcome): number {
    switch (outcome.kind) {
      case 'delivered':
        return this.#database.run(DELIVERED, id);
      case 'retry':
        return this.#database.run(RETRY, Math.round(outcome.delayMs), outcome.error, id, token);
      case 'postpone':
        return this.#database.run(POSTPONE, Math.round(outcome.delayMs), outcome.error, id, token);
      case 'dead':
        return this.#database.run(GIVE_UP, outcome.error, id, token);
    }
  }
}

function toDue(row: Row): DueWebhook {
  return {
    id: String(row['id']),
    promptId: String(row['prompt_id']),
    body: String(row['body']),
    attempts: Number(row['attempts']),
    token: String(row['token']),
    ...(typeof row['url'] === 'string' ? { url: row['url'] } : {}),
  };
}

function toSummary(row: Row): WebhookSummary {
  const state = row['state'] as WebhookState;
  return {
    id: String(row['id']),
    promptId: String(row['prompt_id']),
    state,
    attempts: Number(row['attempts']),
    ...(typeof row['url'] === 'string' ? { url: row['url'] } : {}),
    ...(state === 'pending' ? { dueAt: new Date(Number(row['due_ms'])) } : {}),
    ...(row['delivered_ms'] === null ? {} : { deliveredAt: new Date(Number(row['delivered_ms'])) }),
    ...(typeof row['error'] === 'string' ? { error: row['error'] } : {}),
  };
}
