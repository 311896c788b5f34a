/** How an attempt at a webhook ended: in the log, and in the outbox. */
import type { Logger } from '../observability/logger.ts';
import type { DeliveryOutcome, DueWebhook, WebhookOutbox } from '../queue/webhook-outbox.ts';

export function logOutcome(logger: Logger, webhook: DueWebhook, outcome: DeliveryOutcome): void {
  const facts = { prompt_id: webhook.promptId, webhook_id: webhook.id, attempt: webhook.attempts + 1 };
  switch (outcome.kind) {
    case 'delivered':
      logger.info('webhook delivered', facts);
      break;
    case 'retry':
      logger.warning('webhook not delivered; it will be retried', {
        ...facts,
        error: { message: outcome.error },
        retry_in_ms: outcome.delayMs,
      });
      break;
    case 'dead':
      logger.error('webhook is dead; "text2img webhooks redrive" retries it', {
        ...facts,
        error: { message: outcome.error },
      });
      break;
    case 'postpone':
      break;
  }
}

interface Outbox {
  readonly outbox: WebhookOutbox;
  readonly logger: Logger;
}

/** Never rejects: not written down, it is sent once more when the lease ends. At least once, never not at all. */
export async function recordOutcome(
  { outbox, logger }: Outbox,
  webhook: DueWebhook,
  outcome: DeliveryOutcome,
): Promise<void> {
  try {
    await outbox.record(webhook, outcome);
  } catch (error) {
    logger.repeated('the result of a webhook’s attempt could not be recorded; it is retried when its lease ends', {
      prompt_id: webhook.promptId,
      webhook_id: webhook.id,
      outcome: outcome.kind,
      error,
    });
  }
}
