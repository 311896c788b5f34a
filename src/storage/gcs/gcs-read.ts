/** Reads the generation of an object that was looked at: never a part of it, and nothing of what was written since. */
import { createHash } from 'node:crypto';
import { type ObjectAnswer, UnbelievableAnswerError } from './gcs-answers.ts';
import type { GcsClient } from './gcs-client.ts';
import { statusOf } from './gcs-errors.ts';
import type { OnProgress } from './gcs-requests.ts';
import { tooLarge } from '../readable-image.ts';

export interface GenerationRead {
  /** As it was described. */
  readonly object: ObjectAnswer;
  /** For sentences. */
  readonly url: string;
  readonly maxBytes: number;
  readonly onProgress: OnProgress;
}

/** Undefined: this generation is gone. @throws `image_too_large`, `UnbelievableAnswerError` for other bytes than those that are stored */
export async function readGeneration(
  client: GcsClient,
  { object, url, maxBytes, onProgress }: GenerationRead,
): Promise<Uint8Array | undefined> {
  const { name, generation, size, md5Hash } = object;
  const onPiece = (sizeBytes: number): void => {
    onProgress();
    if (sizeBytes > maxBytes) throw tooLarge(url, { has: `more than ${maxBytes} bytes`, maxBytes });
  };
  try {
    const bytes = await client.download(name, { generation, onPiece });
    const isWhole = size === undefined || size === String(bytes.length);
    // An object that was composed of others has no MD5.
    const isSame = md5Hash === undefined || md5Hash === createHash('md5').update(bytes).digest('base64');
    if (!isWhole || !isSame) throw new UnbelievableAnswerError('download', `${bytes.length} bytes`);
    return bytes;
  } catch (error) {
    if (statusOf(error) === 404) return undefined;
    throw error;
  }
}
