/** The webhook outbox of the embedded queue: a table beside the prompts, written in the same transaction. */
import { outcomeOf } from '../transitions.ts';
import type { DeliveryOutcome, DueWebhook, WebhookOutbox, WebhookSummary } from '../webhook-outbox.ts';
import { claimWebhooks } from './claim-webhooks.ts';
import { closeWithoutUrl } from './close-without-url.ts';
import type { Database } from './database.ts';
import { countWebhooks, listWebhooks, msUntilNextWebhook, NOTHING_OWED } from './list-webhooks.ts';
import { dueNow } from './due-now.ts';
import { recordDelivery } from './record-delivery.ts';
import { redrive } from './redrive.ts';

export class SqliteOutbox implements WebhookOutbox {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  async claimDue({ signal, ...due }: Parameters<WebhookOutbox['claimDue']>[0]): Promise<readonly DueWebhook[]> {
    return this.#database.look((statements) => claimWebhooks(statements, due), [], { signal });
  }

  async record(webhook: DueWebhook, outcome: DeliveryOutcome): Promise<'done' | 'lost'> {
    return outcomeOf(await this.#database.perform((statements) => recordDelivery(statements, webhook, outcome)));
  }

  async closeWithoutUrl(error: string): Promise<number> {
    return this.#database.look((statements) => closeWithoutUrl(statements, error), 0);
  }

  async list(options: Parameters<WebhookOutbox['list']>[0]): Promise<readonly WebhookSummary[]> {
    return this.#database.look((statements) => listWebhooks(statements, options), []);
  }

  async dueNow(id?: string): Promise<number> {
    return this.#database.look((statements) => dueNow(statements, id), 0);
  }

  async redrive(id?: string): Promise<number> {
    return this.#database.look((statements) => redrive(statements, id), 0);
  }

  async counts(): Promise<{ readonly pending: number; readonly dead: number }> {
    return this.#database.look(countWebhooks, NOTHING_OWED);
  }

  async msUntilNextDue(): Promise<number | undefined> {
    return this.#database.look(msUntilNextWebhook, undefined);
  }
}
