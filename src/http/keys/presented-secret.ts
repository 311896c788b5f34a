/** The secret that a request presents: clients have four ways to send it. It is never taken from a URL, which proxies log. */
import type { IncomingHttpHeaders } from 'node:http';

/** @returns undefined where there is none: an empty header, `Basic` alone and a Bearer of nothing count as absent */
export function presentedSecret(headers: IncomingHttpHeaders): string | undefined {
  return ofAuthorization(headers.authorization) ?? textOf(headers['x-api-key']) ?? textOf(headers['api-key']);
}

function ofAuthorization(header: string | undefined): string | undefined {
  const text = header?.trim() ?? '';
  const space = text.search(/\s/);
  const scheme = text.slice(0, Math.max(0, space)).toLowerCase();
  const rest = text.slice(space + 1);
  if (scheme === 'bearer') return textOf(rest);
  return scheme === 'basic' ? passwordOf(rest.trim()) : undefined;
}

/** Of any user. */
function passwordOf(base64: string): string | undefined {
  const text = Buffer.from(base64, 'base64').toString('utf8');
  const colon = text.indexOf(':');
  return colon === -1 ? undefined : textOf(text.slice(colon + 1));
}

function textOf(value: string | readonly string[] | undefined): string | undefined {
  const text = typeof value === 'string' ? value.trim() : value?.[0]?.trim();
  return text === undefined || text === '' ? undefined : text;
}
