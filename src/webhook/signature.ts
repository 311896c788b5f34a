/** Signs webhooks as in Standard Webhooks (standardwebhooks.com, specification 1.0): HMAC-SHA256 over `id.timestamp.body`. */
import { createHmac } from 'node:crypto';

export interface SignedContent {
  readonly id: string;
  /** Of this try, in whole seconds since 1970. */
  readonly timestampSeconds: number;
  readonly body: string;
}

/** `webhook-id`, `webhook-timestamp` and, with at least one key, `webhook-signature`. */
export function signatureHeaders(
  { id, timestampSeconds, body }: SignedContent,
  keys: readonly Buffer[],
): Record<string, string> {
  const headers = { 'webhook-id': id, 'webhook-timestamp': String(timestampSeconds) };
  if (keys.length === 0) return headers;
  const content = `${id}.${timestampSeconds}.${body}`;
  const signatures = keys.map((key) => `v1,${createHmac('sha256', key).update(content).digest('base64')}`);
  return { ...headers, 'webhook-signature': signatures.join(' ') };
}
