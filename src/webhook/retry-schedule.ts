/** When a webhook is tried again: the schedule that Standard Webhooks recommends, ten attempts in about three days. */

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

/** The pause before attempt 1, 2, 3 …, in milliseconds. */
const PAUSES_MS = [
  0,
  5 * SECOND,
  5 * MINUTE,
  30 * MINUTE,
  2 * HOUR,
  5 * HOUR,
  10 * HOUR,
  14 * HOUR,
  20 * HOUR,
  24 * HOUR,
];
const MAX_JITTER = 0.1;
/** A receiver may ask for more time, but not for ever. */
const MAX_RETRY_AFTER_MS = 24 * HOUR;

/**
 * The pause after so many attempts. Undefined: the webhook fails for good.
 * @param retryAfterMs the pause that the receiver asked for
 */
export function pauseAfter(
  tries: number,
  {
    retryAfterMs = 0,
    random = Math.random,
  }: { readonly retryAfterMs?: number | undefined; readonly random?: () => number } = {},
): number | undefined {
  const pauseMs = PAUSES_MS[tries];
  if (pauseMs === undefined) return undefined;
  const jittered = pauseMs * (1 - MAX_JITTER + 2 * MAX_JITTER * random());
  return Math.round(Math.max(jittered, Math.min(retryAfterMs, MAX_RETRY_AFTER_MS)));
}

/** Of the three forms of RFC 9110 the one that is sent; `Date.parse` alone takes "1.5" and "-5" for dates. */
const HTTP_DATE = /^\s*[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT\s*$/;

/** `retry-after`: seconds, or a date; anything else is ignored. */
export function parseRetryAfter(value: string | undefined, nowMs: number): number | undefined {
  if (value === undefined) return undefined;
  if (/^\s*\d+\s*$/.test(value)) return Number(value) * SECOND;
  const dateMs = HTTP_DATE.test(value) ? Date.parse(value) : Number.NaN;
  return Number.isNaN(dateMs) ? undefined : Math.max(0, dateMs - nowMs);
}
