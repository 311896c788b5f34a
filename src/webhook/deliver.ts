/** One attempt at one webhook, and the consequence of the answer. */
import type { LookupFunction } from 'node:net';
import { Text2ImgError } from '../errors/text2img-error.ts';
import { messageOf } from '../lib/disk-errors.ts';
import { boundedSentence } from '../lib/foreign-text.ts';
import { NO_PROXIES, type Proxies } from '../lib/proxies.ts';
import { agentFor } from '../lib/proxy-agent.ts';
import type { DeliveryOutcome, DueWebhook } from '../queue/webhook-outbox.ts';
import type { Lookup } from './lookup-queue.ts';
import { post } from './post.ts';
import { parseRetryAfter, pauseAfter } from './retry-schedule.ts';
import { signatureHeaders } from './signature.ts';
import { allowedLookup, checkDocumentUrl, guardedLookup, isAllowed, type UrlGuard } from './url-guard.ts';

export interface DeliverOptions {
  /** For webhooks whose document names none. */
  readonly operatorUrl: string | undefined;
  /** Sign what goes to the operator's URL; what a document names is sent without a signature. */
  readonly secrets: readonly Buffer[];
  readonly guard: UrlGuard;
  readonly userAgent: string;
  readonly timeoutMs?: number;
  /** For the operator's URL. A document's URL never goes through one: the guard checks the address that is connected to. */
  readonly proxies?: Proxies;
  /** Ends the attempt at once. */
  readonly signal?: AbortSignal;
  /** Another schedule, for tests: the pause after so many tries. */
  readonly pauseAfter?: typeof pauseAfter;
  /** Another resolver for documents' URLs, for tests. */
  readonly lookup?: Lookup;
}

export const TIMEOUT_MS = 15_000;
/** The error of a webhook that was closed because there is no URL to send it to. */
export const NO_URL = 'no_url: there is no --callback-url to send it to';
const GONE = 410;
/** It is kept with the webhook. */
const MAX_ERROR_LENGTH = 300;

/** Never throws: every error becomes an outcome. */
export async function deliver(webhook: DueWebhook, options: DeliverOptions): Promise<DeliveryOutcome> {
  const { timeoutMs = TIMEOUT_MS, operatorUrl, signal } = options;
  if (webhook.url === undefined && operatorUrl === undefined) return { kind: 'dead', error: NO_URL };
  try {
    const { secrets, ...target } = targetOf(webhook, options);
    const timestampSeconds = Math.floor(Date.now() / 1000);
    const { status, retryAfter } = await post({
      ...target,
      body: webhook.body,
      headers: {
        'content-type': 'application/json',
        'user-agent': options.userAgent,
        ...signatureHeaders({ ...webhook, timestampSeconds }, secrets),
      },
      timeoutMs,
      signal,
    });
    if (status >= 200 && status < 300) return { kind: 'delivered' };
    if (status === GONE) return { kind: 'dead', error: 'the receiver answered 410: it wants no more' };
    const retryAfterMs = parseRetryAfter(retryAfter, Date.now());
    return again(webhook, { error: `the receiver answered ${status}`, retryAfterMs, ...options });
  } catch (error) {
    const message = boundedSentence(messageOf(error), MAX_ERROR_LENGTH);
    // Nothing is known of the receiver; the next process sends it at once.
    if (signal?.aborted) return { kind: 'postpone', delayMs: 0, error: 'the worker stopped during the attempt' };
    // The network's own errors have no code, and pass.
    const isFinal = error instanceof Text2ImgError && error.consequence === 'fail';
    return isFinal ? { kind: 'dead', error: message } : again(webhook, { error: message, ...options });
  }
}

interface FailedTry extends Pick<DeliverOptions, 'pauseAfter'> {
  readonly error: string;
  readonly retryAfterMs?: number | undefined;
}

function again(
  { attempts }: DueWebhook,
  { error, retryAfterMs, pauseAfter: pause = pauseAfter }: FailedTry,
): DeliveryOutcome {
  const delayMs = pause(attempts + 1, { retryAfterMs });
  return delayMs === undefined
    ? { kind: 'dead', error: `all ${attempts + 1} attempts failed; the last one: ${error}` }
    : { kind: 'retry', delayMs, error };
}

interface Target {
  readonly url: URL;
  readonly secrets: readonly Buffer[];
  readonly agent: ReturnType<typeof agentFor>;
  readonly lookup?: LookupFunction;
}

function targetOf({ url: documentUrl }: DueWebhook, options: DeliverOptions): Target {
  const { operatorUrl, secrets, guard, lookup, proxies = NO_PROXIES } = options;
  if (documentUrl === undefined) {
    const url = new URL(operatorUrl as string);
    return { url, secrets, agent: agentFor(url, proxies) };
  }
  // Checked again: the operator may have taken a host off his list since.
  const url = checkDocumentUrl(documentUrl, guard);
  const agent = agentFor(url, NO_PROXIES);
  return { url, secrets: [], agent, lookup: isAllowed(url, guard) ? allowedLookup(lookup) : guardedLookup(lookup) };
}
