/**
 * Which webhooks in documents are the service's own. Whoever may insert documents can insert a webhook that is due, too; it would be sent in the
 * operator's name. So each webhook that the service records carries a proof: an HMAC over the document's `_id` and all that is sent, under a key
 * that lies in a collection of its own. What has none is never sent by itself. `docs/decisions/webhook-proof.md` says why it is made so.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { canonicalEjsonOf, type DocumentId } from '../../job/document-id.ts';
import type { OwedWebhook } from '../webhook-outbox.ts';
import type { PromptsCollection } from './prompts-collection.ts';

/** A webhook with the proof that is written beside it. */
export interface ProvenWebhook extends OwedWebhook {
  readonly proof: string;
}

/** What is proven of a webhook, and what is to prove it. */
export interface ProvableWebhook {
  readonly id: string;
  readonly body: string;
  readonly url?: string | undefined;
  readonly proof?: string | undefined;
}

/** Before the write that records it. @throws `queue_failed`, `queue_unauthorized` when the key cannot be had */
export async function prove(
  prompts: PromptsCollection,
  id: DocumentId,
  webhook: OwedWebhook | undefined,
): Promise<ProvenWebhook | undefined> {
  if (webhook === undefined) return undefined;
  return { ...webhook, proof: await proofFor(prompts, id, webhook) };
}

/** @throws as `prove` */
export async function proofFor(prompts: PromptsCollection, id: DocumentId, webhook: ProvableWebhook): Promise<string> {
  return proofOf(await prompts.webhookKeys.toWrite(), id, webhook);
}

/** Whether one of the keys made it for exactly this document and these bytes. */
export function isProven(keys: readonly Buffer[], id: DocumentId, webhook: ProvableWebhook): boolean {
  const given = Buffer.from(webhook.proof ?? '');
  return keys.some((key) => {
    const right = Buffer.from(proofOf(key, id, webhook));
    return given.length === right.length && timingSafeEqual(given, right);
  });
}

/** @param key 32 bytes */
function proofOf(key: Buffer, id: DocumentId, { id: webhookId, body, url }: ProvableWebhook): string {
  // A list in JSON, so that no two different webhooks are the same text.
  const content = JSON.stringify(['text2img webhook 1', canonicalEjsonOf(id), webhookId, url ?? null, body]);
  return createHmac('sha256', key).update(content).digest('base64url');
}
