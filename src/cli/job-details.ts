/** The rows of `jobs show`: what was asked for, how far it is, what was used, and why it failed. */
import { excerpt, printable, quote } from '../lib/foreign-text.ts';
import type { JobSummary } from '../queue/prompt-queue.ts';
import type { WebhookSummary } from '../queue/webhook-outbox.ts';
import { progressText, tookText } from './job-facts.ts';
import { webhookStateText } from './webhook-text.ts';

type Row = readonly [name: string, value: string | undefined];

/** Of a value, and the rows of one kind. */
const VALUE_LENGTH = 2000;
const MAX_ROWS = 100;

export function jobDetails(summary: JobSummary, webhooks: readonly WebhookSummary[], nowMs: number): readonly string[] {
  const rows: readonly Row[] = [
    ['id', summary.id],
    ['status', summary.status],
    ['progress', progressText(summary)],
    ['text', summary.text],
    ['priority', String(summary.priority)],
    ['model', summary.model],
    // Quoted: 512 and "512" are not the same.
    ...section('asked', summary.request, (value) => quote(value, VALUE_LENGTH)),
    ['attempts', String(summary.attempts)],
    ['worker', summary.worker],
    [summary.awaitsRetry === true ? 'next attempt' : 'lease until', summary.leaseUntil?.toISOString()],
    ['last attempt', summary.lastError],
    ['enqueued', summary.enqueuedAt?.toISOString()],
    ['claimed', summary.startedAt?.toISOString()],
    ['finished', summary.finishedAt?.toISOString()],
    ['took', tookText(summary, nowMs)],
    ['seed', summary.seed?.toString()],
    ...section('used', summary.parameters, String),
    ...some('image', summary.imageUrls),
    ...some('warning', summary.warnings),
    ...some(
      'webhook',
      webhooks.map((webhook) => `${webhook.id}  ${webhookStateText(webhook, nowMs)}`),
    ),
    ['error', summary.error],
  ];
  return rows
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${printable(name).padEnd(24)}${excerpt(value ?? '', VALUE_LENGTH)}`.trimEnd());
}

/** A heading, and a row for each value. */
function section<Value>(
  name: string,
  values: Readonly<Record<string, Value>> | undefined,
  text: (value: Value) => string,
): readonly Row[] {
  const rows = Object.entries(values ?? {}).map(([key, value]): Row => [`  ${key}`, text(value)]);
  return rows.length === 0 ? [] : [[name, ''], ...rows];
}

/** A row for each, up to what somebody reads. */
function some(name: string, values: readonly string[] = []): readonly Row[] {
  const rows = values.slice(0, MAX_ROWS).map((value): Row => [name, value]);
  const left = values.length - rows.length;
  return left === 0 ? rows : [...rows, [name, `… and ${left} more; --json lists them`]];
}
