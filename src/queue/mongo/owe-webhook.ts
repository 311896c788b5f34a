/** Adds the webhook that is owed to the write that finishes a prompt. */
import type { Document } from 'mongodb';
import type { OwedWebhook } from '../webhook-outbox.ts';
import { arrayAt, literal } from './expressions.ts';

/** Fields for a `$set`; a re-run adds to what is still owed. Nothing where no webhook is owed. */
export function oweWebhook(webhook: OwedWebhook | undefined): Document {
  if (webhook === undefined) return {};
  const { id, body, url } = webhook;
  const hook = {
    id: literal(id),
    state: 'pending',
    attempts: 0,
    due: '$$NOW',
    body: literal(body),
    ...(url === undefined ? {} : { url: literal(url) }),
  };
  // Due now, whatever else is still owed: the earliest of them.
  return { 'job.hooks': { $concatArrays: [arrayAt('$job.hooks'), [hook]] }, 'job.hook_due': '$$NOW' };
}
