/**
 * Which webhooks in documents are the service's own. A user who may insert documents can also insert a webhook that is due; we would send it in the
 * operator's name. So each webhook that the service records carries a proof: an HMAC over the document's `_id` and all content that is sent. Its key
 * lies in a separate collection. The service never sends a webhook without a proof by itself. `docs/decisions/webhook-proof.md` gives the reasons for
 * this design.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { canonicalEjsonOf, type DocumentId } from '../../job/document-id.ts';
import type { OwedWebhook } from '../webhook-outbox.ts';
import type { PromptsCollection } from './prompts-collection.ts';

/** A webhook with the proof that is written beside it. */
export interface ProvenWebhook extends OwedWebhook {
  readonly proof: string;
}

/** The fields of a webhook that the proof covers, and the proof itself. */
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
