/** The commands' texts about webhooks, in the words that `--state` takes: pending, delivered, dead. */
import { countText } from '../lib/count-text.ts';
import { durationText } from '../lib/duration-text.ts';
import { excerpt } from '../lib/foreign-text.ts';
import type { WebhookSummary } from '../queue/webhook-outbox.ts';

const URL_LENGTH = 100;
const ERROR_LENGTH = 160;

/** `pending, 2 attempts, next attempt in 4 min, to https://…: HTTP 503`. */
export function webhookStateText({ state, attempts, dueAt, error, url }: WebhookSummary, nowMs: number): string {
  const facts = [
    state,
    countText(attempts, 'attempt', 'attempts'),
    ...(dueAt === undefined ? [] : [`next attempt ${untilText(dueAt.getTime() - nowMs)}`]),
    ...(url === undefined ? [] : [`to ${excerpt(url, URL_LENGTH)}`]),
  ].join(', ');
  return error === undefined ? facts : `${facts}: ${excerpt(error, ERROR_LENGTH)}`;
}

/** `now`, or `in 4 min`. */
export function untilText(ms: number): string {
  return ms <= 0 ? 'now' : `in ${durationText(ms)}`;
}
