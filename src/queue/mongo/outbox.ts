/**
 * The webhook outbox inside the documents. `job.hooks` holds the webhooks, `job.hook_due` says when to look at the document again. We send only
 * webhooks that carry the service's proof (`webhook-proof.ts`). The others fail for good, and an operator may send one by its id.
 */
import { outcomeOf } from '../transitions.ts';
import type { DeliveryOutcome, DueWebhook, WebhookOutbox, WebhookSummary } from '../webhook-outbox.ts';
import { claimWebhooks } from './claim-webhooks.ts';
import { closeWithoutUrl } from './close-without-url.ts';
import { dueNow } from './due-now.ts';
import { ANY_DATE } from './expressions.ts';
import { countWebhooks, listWebhooks } from './list-webhooks.ts';
import type { PromptsCollection } from './prompts-collection.ts';
import { recordDelivery } from './record-delivery.ts';
import { redrive } from './redrive.ts';
import type { PromptFilter } from './statement-types.ts';
import { filterOfId } from './webhook-place.ts';
import { WebhookWalk } from './webhook-walk.ts';

type Opener = (options?: { readonly signal?: AbortSignal | undefined }) => Promise<PromptsCollection>;

export class MongoOutbox implements WebhookOutbox {
  readonly #open: Opener;
  readonly #walk = new WebhookWalk();
  /** The `_id`s of the documents whose webhooks are being tried. */
  readonly #ids = new WeakMap<DueWebhook, unknown>();

  constructor(open: Opener) {
    this.#open = open;
  }

  async claimDue(options: Parameters<WebhookOutbox['claimDue']>[0]): Promise<readonly DueWebhook[]> {
    const claimed = await claimWebhooks(await this.#open(options), this.#walk, options);
    for (const { webhook, documentId } of claimed) this.#ids.set(webhook, documentId);
    return claimed.map(({ webhook }) => webhook);
  }

  async record(webhook: DueWebhook, outcome: DeliveryOutcome): Promise<'done' | 'lost'> {
    const document = this.#documentOf(webhook);
    return outcomeOf(await recordDelivery(await this.#open(), { webhook, outcome, document }));
  }

  async closeWithoutUrl(error: string): Promise<number> {
    return closeWithoutUrl(await this.#open(), this.#walk, error);
  }

  async list(options: Parameters<WebhookOutbox['list']>[0]): Promise<readonly WebhookSummary[]> {
    return listWebhooks(await this.#open(), options);
  }

  async dueNow(id?: string): Promise<number> {
    return dueNow(await this.#open(), id);
  }

  async redrive(id?: string): Promise<number> {
    return redrive(await this.#open(), id);
  }

  async counts(): Promise<{ readonly pending: number; readonly dead: number }> {
    return countWebhooks(await this.#open());
  }

  async msUntilNextDue(): Promise<number | undefined> {
    return this.#walk.msUntilNext(await this.#open());
  }

  #documentOf(webhook: DueWebhook): PromptFilter {
    return this.#ids.has(webhook) ? filterOfId(this.#ids.get(webhook)) : { 'job.hook_due': ANY_DATE };
  }
}
