/**
 * The contract of the webhook outbox: what is owed for a finished prompt is recorded in the write that finishes it, and goes on being owed until
 * it is delivered or given up, whatever happens to the processes. Both queues keep it; `webhook/deliver.ts` works it off.
 */

/** One POST that is owed. */
export interface OwedWebhook {
  /** The same for every try, unlike for any other run of any other prompt. */
  readonly id: string;
  /** The exact text to be sent, frozen. */
  readonly body: string;
  /** The document's own `callback_url`; absent: the operator's, read when it is sent. */
  readonly url?: string;
}

/** `dead`: given up; an operator can redrive it. */
export type WebhookState = 'pending' | 'delivered' | 'dead';

/** Claimed for one try, until the lease that was asked for ends. */
export interface DueWebhook extends OwedWebhook {
  readonly promptId: string;
  /** Tries before this one. */
  readonly attempts: number;
  /** Says who is trying. */
  readonly token: string;
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

  /** Writes down how a try ended. `lost`: somebody else is trying by now, or the prompt is gone; a delivery counts all the same. */
  record(webhook: DueWebhook, outcome: DeliveryOutcome): Promise<'done' | 'lost'>;

  /**
   * Gives up all that are due and have no URL of their own, for whoever has no operator's URL to send them to; `redrive` takes them up again.
   * @param error what they ended with, beginning with `no_url` @returns how many
   */
  closeWithoutUrl(error: string): Promise<number>;

  /** @param options with `promptId`, as `jobs show` takes it, only those of one job */
  list(options: ListWebhooks): Promise<readonly WebhookSummary[]>;

  /**
   * Pending ones are due at once, although their next attempt is later; one by its id, or all. Returns how many. What is being sent just now is
   * left alone.
   */
  dueNow(id?: string): Promise<number>;

  /**
   * Dead ones are due again at once, with all their tries; one by its id, or all. Returns how many. Of all, only those are taken that this
   * service has surely made; one that is named is the operator's own decision.
   */
  redrive(id?: string): Promise<number>;

  /** What is still owed, and what was given up. */
  counts(): Promise<{ readonly pending: number; readonly dead: number }>;

  /** Milliseconds until the next one is due, 0 if one is; undefined where none is owed. */
  msUntilNextDue(): Promise<number | undefined>;
}
