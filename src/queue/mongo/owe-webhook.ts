/** Adds the webhook to the write that completes or fails a job. */
import { packedBody } from '../webhook-body.ts';
import { arrayAt, literal } from './expressions.ts';
import type { Expression, PromptFields } from './statement-types.ts';
import type { ProvenWebhook } from './webhook-proof.ts';

/** Fields for a `$set`; a re-run adds to the webhooks that are still pending. Empty if there is no webhook. */
export function oweWebhook(webhook: ProvenWebhook | undefined): PromptFields {
  if (webhook === undefined) return {};
  const { id, body, url, proof } = webhook;
  const stored = Object.entries(packedBody(body)).map(([name, value]) => [name, literal(value)]);
  const hook: Expression = {
    id: literal(id),
    state: 'pending',
    attempts: 0,
    due: '$$NOW',
    ...Object.fromEntries(stored),
    ...(url === undefined ? {} : { url: literal(url) }),
    proof: literal(proof),
  };
  // Due now, even if other webhooks are pending: now is the earliest time.
  return { 'job.hooks': { $concatArrays: [arrayAt('$job.hooks'), [hook]] }, 'job.hook_due': '$$NOW' };
}
