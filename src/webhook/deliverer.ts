/**
 * Works off the outbox beside the drawing: takes what is due, sends several at once, writes down how each try ended. Several workers share the
 * outbox; one that dies leaves what it held to the others when the lease ends.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from '../observability/logger.ts';
import type { WebhookOutbox } from '../queue/webhook-outbox.ts';
import { deliver, type DeliverOptions } from './deliver.ts';

export interface DelivererOptions extends DeliverOptions {
  readonly outbox: WebhookOutbox;
  readonly logger: Logger;
  /** Tries at the same time. */
  readonly concurrency?: number;
  /** How long a webhook that was taken is nobody else's; longer than a try can take. */
  readonly leaseMs?: number;
  /** Between two looks at an outbox in which nothing is due. */
  readonly pollMs?: number;
}

export interface DeliverySummary {
  readonly delivered: number;
  /** Tries that failed and are repeated. */
  readonly failedTries: number;
  readonly dead: number;
}

const CONCURRENCY = 8;
const POLL_MS = 5000;
const LEASE_MS = 60_000;

export class WebhookDeliverer {
  readonly #options: DelivererOptions;
  readonly #summary = { delivered: 0, failedTries: 0, dead: 0 };
  #wake: () => void = () => undefined;

  constructor(options: DelivererOptions) {
    this.#options = options;
  }

  get summary(): DeliverySummary {
    return this.#summary;
  }

  /** Something is owed since now: do not wait for the next look. */
  notify(): void {
    this.#wake();
  }

  /** Delivers until the signal; tries that have begun are finished. Trouble with the queue is waited out. */
  async run(signal: AbortSignal): Promise<void> {
    const { logger, pollMs = POLL_MS, outbox } = this.#options;
    while (!signal.aborted) {
      let waitMs = pollMs;
      try {
        if ((await this.#deliverDue()) > 0) continue;
        waitMs = Math.min(pollMs, (await outbox.msUntilNextDue()) ?? pollMs);
      } catch (error) {
        logger.warning('the webhook outbox cannot be read; trying again', {
          error: error instanceof Error ? error.message : String(error),
        });
      }
      await this.#pause(waitMs * (0.75 + Math.random() / 2), signal);
    }
  }

  /** Every try that falls due within `withinMs` from now. @throws what the queue throws */
  async drain({
    withinMs,
    signal,
  }: {
    readonly withinMs: number;
    readonly signal: AbortSignal;
  }): Promise<DeliverySummary> {
    const deadlineMs = performance.now() + withinMs;
    while (!signal.aborted) {
      if ((await this.#deliverDue()) > 0) continue;
      const dueMs = await this.#options.outbox.msUntilNextDue();
      if (dueMs === undefined || performance.now() + dueMs > deadlineMs) break;
      await sleep(dueMs + 1, undefined, { signal }).catch(() => undefined);
    }
    return this.#summary;
  }

  /** How many tries were made. */
  async #deliverDue(): Promise<number> {
    const { outbox, concurrency = CONCURRENCY, leaseMs = LEASE_MS } = this.#options;
    const due = await outbox.claimDue({ limit: concurrency, leaseMs });
    const tries = await Promise.allSettled(due.map((webhook) => this.#try(webhook)));
    for (const tried of tries) if (tried.status === 'rejected') throw tried.reason;
    return due.length;
  }

  async #try(webhook: Parameters<typeof deliver>[0]): Promise<void> {
    const { logger, outbox } = this.#options;
    const outcome = await deliver(webhook, this.#options);
    const facts = { prompt_id: webhook.promptId, webhook_id: webhook.id, attempt: webhook.attempts + 1 };
    switch (outcome.kind) {
      case 'delivered':
        this.#summary.delivered++;
        logger.info('webhook delivered', facts);
        break;
      case 'retry':
        this.#summary.failedTries++;
        logger.warning('webhook not delivered; it is tried again', {
          ...facts,
          error: outcome.error,
          retry_in_ms: outcome.delayMs,
        });
        break;
      case 'dead':
        this.#summary.dead++;
        logger.error('webhook given up; "text2img webhooks redrive" tries again', { ...facts, error: outcome.error });
        break;
      case 'postpone':
        break;
    }
    // Not written down, it is sent once more when the lease ends: at least once, never not at all.
    await outbox.record(webhook, outcome);
  }

  async #pause(ms: number, signal: AbortSignal): Promise<void> {
    const woken = new AbortController();
    this.#wake = () => woken.abort();
    await sleep(ms, undefined, { signal: AbortSignal.any([signal, woken.signal]) }).catch(() => undefined);
    this.#wake = () => undefined;
  }
}
