/**
 * `text2img webhooks`: lists webhooks, sends those that are due, retries failed ones.
 */

import { Text2ImgError } from '../errors/text2img-error.ts';
import type { WebhookSummary } from '../queue/webhook-outbox.ts';
import { type ExitCode, printResult, type QueueContext } from './command-context.ts';
import { jsonLine } from './json-output.ts';
import { openQueue } from '../app/open-queue.ts';
import { queueSettings, webhookSettings } from '../app/settings.ts';
import { DELIVERY_DRAIN_MS, webhookDeliverer } from '../app/open-webhooks.ts';
import { excerpt, quote } from '../lib/foreign-text.ts';
import { untilAborted } from '../lib/until-aborted.ts';
import { omitUndefined } from '../lib/omit-undefined.ts';
import type { PromptQueue } from '../queue/prompt-queue.ts';
import { countText } from '../lib/count-text.ts';
import { untilText, webhookStateText } from './webhook-text.ts';
import { listenForSignals } from './signals.ts';

/** Of an id in a row of the list. */
const ID_LENGTH = 120;

export interface WebhooksInvocation {
  /** One of `program.ts`'s actions. */
  readonly action: string;
  readonly id: string | undefined;
}

export async function webhooks(context: QueueContext, { action, id }: WebhooksInvocation): Promise<ExitCode> {
  await using queue = await openQueue(queueSettings(context.config, context.mode), {
    ...context,
    looksOnly: true,
  });
  switch (action) {
    case 'deliver': {
      if (id !== undefined && !context.config.now)
        throw new Text2ImgError('conflicting_options', 'The command "webhooks deliver" takes an id with --now only.');
      using stopping = listenForSignals({ logger: context.logger, graceMs: 0 });
      return (await untilAborted(deliver(context, queue, { id, signal: stopping.signal }), stopping.lastSignal)) ?? 0;
    }
    case 'redrive': {
      const redriven = await queue.outbox.redrive(id);
      if (redriven === 0 && id !== undefined)
        throw new Text2ImgError(
          'not_found',
          `There is no dead webhook ${quote(id)}. List webhooks with "text2img webhooks list". To send a pending one, type "text2img webhooks deliver --now ${id}".`,
        );
      printResult(context, { json: { redriven }, text: `${webhookCount(redriven)} pending again` });
      return 0;
    }
    default: {
      const { state, limit, json } = context.config;
      const listed = await queue.outbox.list({ limit, ...omitUndefined({ state }) });
      for (const one of listed) context.terminal.result(json ? jsonLine(one) : formatRow(one));
      const { pending, dead } = await queue.outbox.counts();
      const isEmpty = listed.length + pending + dead === 0;
      if (!json)
        context.terminal.line(`${await pendingText(queue, pending)}, ${dead} dead${placeOfNone(queue, isEmpty)}`);
      return 0;
    }
  }
}

/** Sends what is due now; with `--now` pending ones are due at once. */
async function deliver(context: QueueContext, queue: PromptQueue, { id, signal }: Delivery): Promise<ExitCode> {
  await using deliverer = webhookDeliverer(webhookSettings(context.config, context.environment), {
    outbox: queue.outbox,
    logger: context.logger,
  });
  if (context.config.now && (await queue.outbox.dueNow(id)) === 0 && id !== undefined)
    throw new Text2ImgError(
      'not_found',
      `There is no pending webhook ${quote(id)} that waits for an attempt. List them with "text2img webhooks list".`,
    );
  const summary = await deliverer.drain({ withinMs: DELIVERY_DRAIN_MS, signal });
  const { pending, dead } = await queue.outbox.counts();
  const { delivered, failedTries, withoutUrl } = summary;
  const closed = withoutUrl > 0 ? `, ${withoutUrl} dead without a URL (no_url)` : '';
  const failed = countText(failedTries, 'attempt', 'attempts');
  const text = `${webhookCount(delivered)} delivered, ${failed} failed, ${await pendingText(queue, pending)}, ${dead} dead${closed}`;
  printResult(context, { json: { ...summary, pending, deadInAll: dead }, text });
  return 0;
}

interface Delivery {
  readonly id: string | undefined;
  readonly signal: AbortSignal;
}

/** A queue without webhooks says where it is: it may be the wrong one. */
function placeOfNone({ description }: PromptQueue, isEmpty: boolean): string {
  return isEmpty ? `: 0 webhooks in ${description}` : '';
}

/** `2 pending (next attempt in 4 min)`. */
async function pendingText(queue: PromptQueue, pending: number): Promise<string> {
  const nextMs = pending === 0 ? undefined : await queue.outbox.msUntilNextDue();
  return `${pending} pending${nextMs === undefined ? '' : ` (next attempt ${untilText(nextMs)})`}`;
}

function formatRow(webhook: WebhookSummary): string {
  const { id, promptId } = webhook;
  return `${excerpt(id, ID_LENGTH)}  ${excerpt(promptId, ID_LENGTH)}  ${webhookStateText(webhook, Date.now())}`;
}

function webhookCount(number: number): string {
  return countText(number, 'webhook', 'webhooks');
}
