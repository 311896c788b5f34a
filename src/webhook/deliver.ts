/** One try to deliver one webhook, and what follows from the answer. */
import type { lookup } from 'node:dns';
import { Text2ImgError } from '../errors/text2img-error.ts';
import type { DeliveryOutcome, DueWebhook } from '../queue/webhook-outbox.ts';
import { post } from './post.ts';
import { parseRetryAfter, pauseAfter } from './retry-schedule.ts';
import { signatureHeaders } from './signature.ts';
import { checkDocumentUrl, guardedLookup, isAllowed, type UrlGuard } from './url-guard.ts';

export interface DeliverOptions {
  /** For webhooks whose document names none. */
  readonly operatorUrl: string | undefined;
  /** Sign what goes to the operator's URL; what a document names is sent without a signature. */
  readonly secrets: readonly Buffer[];
  readonly guard: UrlGuard;
  readonly userAgent: string;
  readonly timeoutMs?: number;
  /** Another schedule, for tests: the pause after so many tries. */
  readonly pauseAfter?: typeof pauseAfter;
  /** Another resolver, for tests. */
  readonly lookup?: typeof lookup;
}

const TIMEOUT_MS = 15_000;
/** Nothing to send it to: looked at again when somebody may have started a worker with a URL. */
const WITHOUT_URL_MS = 60 * 60_000;
const GONE = 410;

/** Never throws: whatever happens is an outcome. */
export async function deliver(webhook: DueWebhook, options: DeliverOptions): Promise<DeliveryOutcome> {
  const { operatorUrl, timeoutMs = TIMEOUT_MS } = options;
  if (webhook.url === undefined && operatorUrl === undefined)
    return { kind: 'postpone', delayMs: WITHOUT_URL_MS, error: 'there is no --callback-url to send it to' };
  try {
    const target = targetOf(webhook, options);
    const timestampSeconds = Math.floor(Date.now() / 1000);
    const { status, retryAfter } = await post({
      ...target,
      body: webhook.body,
      headers: {
        'content-type': 'application/json',
        'user-agent': options.userAgent,
        ...signatureHeaders({ ...webhook, timestampSeconds }, target.secrets),
      },
      timeoutMs,
    });
    if (status >= 200 && status < 300) return { kind: 'delivered' };
    if (status === GONE) return { kind: 'dead', error: 'the receiver answered 410: it wants no more' };
    const retryAfterMs = parseRetryAfter(retryAfter, Date.now());
    return again(webhook, { error: `the receiver answered ${status}`, retryAfterMs, ...options });
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    const isRefused = error instanceof Text2ImgError;
    return isRefused ? { kind: 'dead', error: message } : again(webhook, { error: message, ...options });
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
    ? { kind: 'dead', error: `all ${attempts + 1} tries failed; the last one: ${error}` }
    : { kind: 'retry', delayMs, error };
}

function targetOf(
  { url: documentUrl }: DueWebhook,
  { operatorUrl, secrets, guard, lookup }: DeliverOptions,
): { readonly url: URL; readonly secrets: readonly Buffer[]; readonly lookup?: ReturnType<typeof guardedLookup> } {
  if (documentUrl === undefined) return { url: new URL(operatorUrl as string), secrets };
  // Checked again: the operator may have taken a host off his list since.
  const url = checkDocumentUrl(documentUrl, guard);
  return { url, secrets: [], ...(isAllowed(url, guard) ? {} : { lookup: guardedLookup(lookup) }) };
}
