/**
 * How a webhook's body lies in a document. The body names the prompt once for each image, and a document may have 16 MB. So a long prompt is kept
 * once, beside the text around it. Before it is sent, the body is put together again, byte for byte.
 */
import { isRecord, own } from '../lib/foreign-record.ts';

/** Shorter bodies are kept as they are, which version 0.1.0 can read. */
const MIN_PACKED_LENGTH = 256 * 1024;
/** None of our bodies is longer, because a document has 16 MB. Parts that would make a longer body are not put together. */
const MAX_BODY_LENGTH = 64 * 1024 * 1024;

export type StoredBody =
  | { readonly body: string }
  /** The body is the parts with the repeated text between them. */
  | { readonly body_parts: readonly string[]; readonly body_repeats: string };

export function packedBody(body: string): StoredBody {
  if (body.length < MIN_PACKED_LENGTH) return { body };
  const prompt = promptIn(body);
  if (prompt === undefined || prompt === '') return { body };
  const repeats = JSON.stringify(prompt);
  const parts = body.split(repeats);
  return parts.length > 2 ? { body_parts: parts, body_repeats: repeats } : { body };
}

/** The exact body; undefined where none lies there. */
export function unpackedBody(stored: Readonly<Record<string, unknown>>): string | undefined {
  const body = own(stored, 'body');
  if (typeof body === 'string') return body;
  const [parts, repeats] = [own(stored, 'body_parts'), own(stored, 'body_repeats')];
  if (!Array.isArray(parts) || typeof repeats !== 'string') return undefined;
  if (!parts.every((part) => typeof part === 'string')) return undefined;
  const length = parts.reduce((sum, part) => sum + part.length + repeats.length, 0);
  return length <= MAX_BODY_LENGTH ? parts.join(repeats) : undefined;
}

/** The prompt that the body names. */
function promptIn(body: string): string | undefined {
  try {
    const { results } = JSON.parse(body) as { readonly results?: readonly unknown[] };
    const [first] = results ?? [];
    const prompt = isRecord(first) ? own(first, 'prompt') : undefined;
    return typeof prompt === 'string' ? prompt : undefined;
  } catch {
    return undefined;
  }
}
