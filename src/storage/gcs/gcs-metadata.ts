/** An object's custom metadata: how `ImageMetadata` is written on it and read back. */
import { z } from 'zod';
import { hashOfDocKey } from '../doc-key.ts';
import type { ImageMetadata } from '../image-store.ts';

/** As they stand on the object. */
export interface CustomMetadata {
  readonly run_id: string;
  readonly doc_key: string;
  readonly seed: string;
  readonly model: string;
}

const customSchema = z.object({
  run_id: z.string().min(1),
  doc_key: z.string().min(1),
  seed: z.string().regex(/^\d+$/).transform(Number),
  model: z.string().default(''),
});

/** All custom metadata of an object together may have 8 KiB (https://cloud.google.com/storage/quotas). */
const MAX_DOC_KEY_BYTES = 4096;
const MAX_MODEL_CHARACTERS = 500;

/**
 * The client library replaces this text by the project's name wherever it stands in a request, even inside a document's `_id`. So the store writes
 * the brace as a JSON escape. A document key is canonical JSON, which never has that escape. So the reader can safely undo it.
 */
const CLIENT_TOKEN = '{{projectId}}';
const ESCAPED_TOKEN = '{\\u007bprojectId}}';

export function toCustomMetadata({ runId, docKey, seed, model }: ImageMetadata): CustomMetadata {
  return {
    run_id: runId,
    doc_key: storedDocKey(docKey),
    seed: String(seed),
    model: escapeToken(model.slice(0, MAX_MODEL_CHARACTERS)),
  };
}

/** Undefined: not written by us. */
export function fromCustomMetadata(custom: unknown): ImageMetadata | undefined {
  const result = customSchema.safeParse(custom);
  if (!result.success) return undefined;
  const { run_id: runId, doc_key, seed, model } = result.data;
  return { runId, docKey: unescapeToken(doc_key), seed, model: unescapeToken(model) };
}

/** A key that does not fit is stored as its hash. */
function storedDocKey(docKey: string): string {
  if (Buffer.byteLength(docKey) <= MAX_DOC_KEY_BYTES) return escapeToken(docKey);
  return hashOfDocKey(docKey);
}

function escapeToken(text: string): string {
  return text.replaceAll(CLIENT_TOKEN, ESCAPED_TOKEN);
}

function unescapeToken(text: string): string {
  return text.replaceAll(ESCAPED_TOKEN, CLIENT_TOKEN);
}
