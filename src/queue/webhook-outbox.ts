/**
 * The contract of the webhook outbox. The write that ends a job also records its webhook. The webhook stays pending until it is delivered or fails
 * for good, even if processes crash. Both queues keep an outbox; `webhook/deliver.ts` sends from it.
 */

/** One pending POST. */
export interface OwedWebhook {
  /** The same for every attempt; each other run of any job has another id. */
  readonly id: string;
  /** The exact text to be sent, frozen. */
  readonly body: string;
  /** The document's own `callback_url`; absent: the operator's, read when it is sent. */
  readonly url?: string;
}

/** `dead`: failed for good; an operator can redrive it. */
export type WebhookState = 'pending' | 'delivered' | 'dead';

/** Claimed for one attempt, until the lease that was asked for ends. */
export interface DueWebhook extends OwedWebhook {
  readonly promptId: string;
  /** Attempts before this one. */
  readonly attempts: number;
  /** Says who is trying. */
  readonly token: string;
  /** Milliseconds since its job ended, by the queue's clock; undefined where that is not known. */
  readonly endedMsAgo?: number;
}

export type DeliveryOutcome =
  | { readonly kind: 'delivered' }
  | { readonly kind: 'retry'; readonly delayMs: number; readonly error: string }
  | { readonly kind: 'dead'; readonly error: string }
  /** It was not tried, and this does not count. */
  | { readonly kind: 'postpone'; readonly delayMs: number; readonly error: string };

export interface WebhookSummary {
  readonly id: string;
  readonly promptId: string;
  readonly state: WebhookState;
  readonly attempts: number;
  readonly url?: string;
  readonly dueAt?: Date;
  readonly deliveredAt?: Date;
  readonly error?: string;
}

export interface ListWebhooks {
  readonly state?: WebhookState;
  readonly promptId?: string;
  readonly limit: number;
}

export interface WebhookOutbox {
  /** Takes what is due, oldest first; nobody else is given it until `leaseMs` from now. */
  claimDue(options: {
    readonly limit: number;
    readonly leaseMs: number;
    readonly signal?: AbortSignal | undefined;
  }): Promise<readonly DueWebhook[]>;

  /** Records how an attempt ended. `lost`: another worker has claimed it since, or the job is gone. A delivery counts all the same. */
  record(webhook: DueWebhook, outcome: DeliveryOutcome): Promise<'done' | 'lost'>;

  /**
   * All webhooks that are due and have no URL of their own fail for good. It is called if there is no operator's URL either; `redrive` makes them due
   * again.
   * @param error their error, beginning with `no_url` @returns how many
   */
  closeWithoutUrl(error: string): Promise<number>;

  /** @param options with `promptId`, as `jobs show` takes it, only those of one job */
  list(options: ListWebhooks): Promise<readonly WebhookSummary[]>;

  /**
   * Pending webhooks are due at once, although their next attempt is later; one by its id, or all. Returns how many. Webhooks that are being sent now
   * are left alone.
   */
  dueNow(id?: string): Promise<number>;

  /**
   * Dead ones are due again at once, with all their tries; one by its id, or all. Returns how many. Of all, only those are taken that this
   * service has surely made; one that is named is the operator's own decision.
   */
  redrive(id?: string): Promise<number>;

  /** How many webhooks are pending, and how many failed for good. */
  counts(): Promise<{ readonly pending: number; readonly dead: number }>;

  /** Milliseconds until the next one is due, 0 if one is; undefined if none is pending. */
  msUntilNextDue(): Promise<number | undefined>;
}
