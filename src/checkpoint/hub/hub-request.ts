/**
 * GET requests to the hub and to the servers that it sends us to, through the operator's proxy. We follow redirects by hand, because the token goes
 * to the hub's own origin only.
 */
import type { IncomingMessage } from 'node:http';
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { quote } from '../../lib/foreign-text.ts';
import { exchange } from '../../lib/http-exchange.ts';
import { NO_PROXIES, type Proxies } from '../../lib/proxies.ts';
import { agentFor } from '../../lib/proxy-agent.ts';

export interface HubAccess {
  /** `https://huggingface.co`, or a mirror's. */
  readonly endpoint: string;
  /** Never in a log or an error. */
  readonly token: string | undefined;
  readonly proxies?: Proxies;
}

export interface HubRequest {
  readonly url: URL;
  readonly headers?: Readonly<Record<string, string>>;
  /** Until the head of an answer is there. */
  readonly headTimeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

const MAX_REDIRECTS = 5;

/** The hub's own address, without the credentials that may stand in it: they are used for nothing, and shown nowhere. @throws `invalid_option` */
export function hubUrl({ endpoint }: HubAccess): URL {
  const url = URL.parse(endpoint.trim());
  if (url === null || !/^https?:$/.test(url.protocol) || url.hostname === '')
    // A text that is no URL may still hold a password.
    throw new Text2ImgError(
      'invalid_option',
      `HF_ENDPOINT ${endpoint.includes('@') ? '(not shown)' : quote(endpoint)} is not allowed; it must be an http:// or https:// URL, like https://huggingface.co.`,
    );
  const clean = new URL(url.href);
  clean.username = '';
  clean.password = '';
  clean.search = '';
  clean.hash = '';
  return clean;
}

/** An address below the hub's, of parts that are encoded here. */
export function hubAddress(access: HubAccess, parts: readonly string[]): URL {
  const base = hubUrl(access);
  base.pathname = `${base.pathname.replace(/\/+$/, '')}/${parts.map(encodeURIComponent).join('/')}`;
  return base;
}

/** The first answer that is no redirect, its body still to be read. @throws `download_failed`, `invalid_option`, and what the network says */
export async function get(
  access: HubAccess,
  { url: first, headers, headTimeoutMs, signal }: HubRequest,
): Promise<IncomingMessage> {
  const { origin } = hubUrl(access);
  let url = first;
  for (let hop = 0; hop <= MAX_REDIRECTS; hop++) {
    const answer = await exchange({
      url,
      agent: agentFor(url, access.proxies ?? NO_PROXIES),
      headTimeoutMs,
      signal,
      headers: {
        'user-agent': 'text2img',
        'accept-encoding': 'identity',
        ...headers,
        ...(url.origin === origin ? authorization(access) : {}),
      },
    });
    const { statusCode = 0, headers: answered } = answer;
    if (statusCode < 300 || statusCode >= 400 || answered.location === undefined) return answer;
    answer.destroy();
    const next = URL.parse(answered.location, url.href);
    if (next === null || !/^https?:$/.test(next.protocol))
      throw new Text2ImgError(
        'download_failed',
        `${quote(url.host)} redirects to ${next === null ? 'a text that is no URL' : `a ${quote(next.protocol)} URL`}; http: and https: are allowed.`,
      );
    next.username = '';
    next.password = '';
    url = next;
  }
  throw new Text2ImgError('download_failed', `${quote(first.href)} is redirected more than ${MAX_REDIRECTS} times.`);
}

function authorization({ token }: HubAccess): Record<string, string> {
  const trimmed = token?.trim();
  if (trimmed === undefined || trimmed === '') return {};
  if (/^[\x21-\x7e]+$/.test(trimmed)) return { authorization: `Bearer ${trimmed}` };
  throw new Text2ImgError(
    'invalid_option',
    'HF_TOKEN (not shown), or the file of the hub’s sign-in, is not allowed; a token is one word of ASCII characters.',
  );
}

/** The whole body as text. @throws where it is longer than `maxBytes`, breaks off, or takes longer than `timeoutMs` */
export async function readText(
  answer: IncomingMessage,
  { maxBytes, timeoutMs }: { readonly maxBytes: number; readonly timeoutMs: number },
): Promise<string> {
  const timer = setTimeout(
    () => answer.destroy(new Error(`the answer was not whole within ${timeoutMs / 1000} s`)),
    timeoutMs,
  );
  try {
    const chunks: Buffer[] = [];
    let sizeBytes = 0;
    for await (const chunk of answer) {
      chunks.push(chunk as Buffer);
      sizeBytes += (chunk as Buffer).length;
      if (sizeBytes > maxBytes)
        throw new Text2ImgError('download_failed', `an answer of the hub has more than ${maxBytes} bytes.`);
    }
    return Buffer.concat(chunks).toString('utf8');
  } finally {
    clearTimeout(timer);
    answer.destroy();
  }
}
