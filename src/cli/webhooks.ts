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
      using stopping = listenForSignals({ logger: context.logger, graceMs: 0 });
      return (await untilAborted(deliver(context, queue, stopping.signal), stopping.lastSignal)) ?? 0;
    }
    case 'redrive': {
      const redriven = await queue.outbox.redrive(id);
      if (redriven === 0 && id !== undefined)
        throw new Text2ImgError(
          'not_found',
          `There is no failed webhook ${quote(id)}. List them with "text2img webhooks list --state dead".`,
        );
      printResult(context, { json: { redriven }, text: `${redriven} due again` });
      return 0;
    }
    default: {
      const { state, limit, json } = context.config;
      for (const one of await queue.outbox.list({ limit, ...omitUndefined({ state }) }))
        context.terminal.result(json ? jsonLine(one) : formatRow(one));
      const { pending, dead } = await queue.outbox.counts();
      if (!json) context.terminal.line(`${pending} pending, ${dead} failed for good`);
      return 0;
    }
  }
}

/** Sends what is due now. */
async function deliver(context: QueueContext, queue: PromptQueue, signal: AbortSignal): Promise<ExitCode> {
  await using deliverer = webhookDeliverer(webhookSettings(context.config, context.environment), {
    outbox: queue.outbox,
    logger: context.logger,
  });
  const summary = await deliverer.drain({ withinMs: DELIVERY_DRAIN_MS, signal });
  const { pending, dead } = await queue.outbox.counts();
  const closed = summary.withoutUrl > 0 ? `, ${summary.withoutUrl} failed without a URL (no_url)` : '';
  const text = `${summary.delivered} delivered, ${summary.failedTries} attempts failed, ${pending} pending, ${dead} failed for good${closed}`;
  printResult(context, { json: { ...summary, pending, deadInAll: dead }, text });
  return 0;
}

function formatRow({ id, promptId, state, attempts, dueAt, error, url }: WebhookSummary): string {
  const facts = [
    excerpt(id, ID_LENGTH),
    excerpt(promptId, ID_LENGTH),
    state,
    `${attempts} ${attempts === 1 ? 'attempt' : 'attempts'}`,
    ...(dueAt === undefined ? [] : [`due ${dueAt.toISOString()}`]),
    ...(url === undefined ? [] : [`to ${excerpt(url, 100)}`]),
    ...(error === undefined ? [] : [excerpt(error, 160)]),
  ];
  return facts.join('  ');
}
