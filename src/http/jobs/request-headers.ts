/** The headers of the jobs API that change what a request does: `Prefer: wait` (RFC 7240) and `Cancel-After`. Both mean what Replicate's API means by them. */
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { quote } from '../../lib/foreign-text.ts';

/** Seconds. Also what `Prefer: wait` without a number means. */
export const LONGEST_WAIT_S = 60;
const SHORTEST_LIFE_S = 5;
const LONGEST_LIFE_S = 24 * 60 * 60;
const UNIT_S: Readonly<Record<string, number>> = { '': 1, s: 1, m: 60, h: 3600 };

/**
 * A preference that cannot be read is no preference (RFC 7240, section 2).
 * @returns seconds to wait, at most 60; undefined: the client wants the answer at once
 */
export function preferredWaitS(header: string | readonly string[] | undefined): number | undefined {
  if (header === undefined) return undefined;
  const text = typeof header === 'string' ? header : header.join(',');
  for (const preference of text.split(',')) {
    const [token = ''] = preference.split(';');
    const [, value] = /^\s*wait\s*(?:=\s*"?(\d{1,9})"?\s*)?$/i.exec(token) ?? [undefined, null];
    if (value === null) continue;
    const seconds = value === undefined ? LONGEST_WAIT_S : Math.min(Number(value), LONGEST_WAIT_S);
    return seconds === 0 ? undefined : seconds;
  }
  return undefined;
}

/** @returns milliseconds; undefined: the header is absent @throws `invalid_parameter` */
export function cancelAfterMs(header: string | readonly string[] | undefined): number | undefined {
  if (header === undefined) return undefined;
  const [, amount, unit] = typeof header === 'string' ? (/^\s*(\d{1,9})\s*([smh]?)\s*$/.exec(header) ?? []) : [];
  const seconds = amount === undefined ? Number.NaN : Number(amount) * (UNIT_S[unit ?? ''] ?? Number.NaN);
  if (seconds >= SHORTEST_LIFE_S && seconds <= LONGEST_LIFE_S) return seconds * 1000;
  throw new Text2ImgError(
    'invalid_parameter',
    `The header "cancel-after" is ${quote(header)}; allowed are ${SHORTEST_LIFE_S}s to ${LONGEST_LIFE_S / 3600}h, as 90s, 5m or 1h.`,
  );
}
