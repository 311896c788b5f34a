/**
 * An object that is read part by part. Each part is a request of its own, so that a slow reader holds one part in memory and no connection to the bucket.
 */
import { createHash } from 'node:crypto';
import { Text2ImgError } from '../../errors/text2img-error.ts';
import type { BytePart, OpenImage, ReadImage } from '../image-store.ts';
import { type ObjectAnswer, UnbelievableAnswerError } from './gcs-answers.ts';
import type { Action, GcsConnection } from './gcs-connection.ts';
import { statusOf } from './gcs-errors.ts';
import { fromCustomMetadata } from './gcs-metadata.ts';

/** Most images are one part. */
const PART_BYTES = 1024 * 1024;

export interface Opening {
  readonly connection: GcsConnection;
  /** As it was described, with its size. */
  readonly object: ObjectAnswer & { readonly size: string };
  /** For sentences. */
  readonly url: string;
}

export function openGeneration(opening: Opening): OpenImage {
  const { size, md5Hash: md5, generation, metadata } = opening.object;
  const sizeBytes = Number(size);
  return {
    sizeBytes,
    md5,
    metadata: fromCustomMetadata(metadata),
    generation,
    pieces: (part = { start: 0, end: sizeBytes - 1 }) => pieces(opening, part),
    async [Symbol.asyncDispose]() {},
  };
}

/** One that was read already. */
export function wholeImage(read: ReadImage | undefined): OpenImage | undefined {
  if (read === undefined) return undefined;
  const { bytes, metadata, generation } = read;
  return {
    sizeBytes: bytes.length,
    md5: createHash('md5').update(bytes).digest('base64'),
    metadata,
    generation,
    async *pieces({ start, end } = { start: 0, end: bytes.length - 1 }) {
      yield bytes.subarray(start, end + 1);
    },
    async [Symbol.asyncDispose]() {},
  };
}

async function* pieces(opening: Opening, { start, end }: BytePart): AsyncGenerator<Uint8Array, void> {
  const { object, url } = opening;
  const isWhole = start === 0 && end === Number(object.size) - 1;
  const md5 = createHash('md5');
  for (let at = start; at <= end; at += PART_BYTES) {
    const part = { start: at, end: Math.min(end, at + PART_BYTES - 1) };
    const bytes = await readPart(opening, part);
    md5.update(bytes);
    // An object that was composed of others has no MD5.
    const isLast = part.end === end && isWhole && object.md5Hash !== undefined;
    if (isLast && md5.digest('base64') !== object.md5Hash)
      throw new Text2ImgError('store_failed', `the object ${url} came with other bytes than those that are stored.`);
    yield bytes;
  }
}

async function readPart({ connection, object, url }: Opening, part: BytePart): Promise<Uint8Array> {
  const { name, generation, size, md5Hash } = object;
  const expected = part.end + 1 - part.start;
  const isWhole = expected === Number(size);
  const read: Action<Uint8Array | undefined> = async (client, onProgress) => {
    const onPiece = (sizeBytes: number): void => {
      onProgress();
      if (sizeBytes > expected) throw new UnbelievableAnswerError('download', `more than ${expected} bytes`);
    };
    const bytes = await downloaded(client.download(name, { generation, onPiece, ...(isWhole ? {} : { part }) }));
    if (bytes === undefined) return undefined;
    const isSame = !isWhole || md5Hash === undefined || md5Hash === createHash('md5').update(bytes).digest('base64');
    if (bytes.length !== expected || !isSame) throw new UnbelievableAnswerError('download', `${bytes.length} bytes`);
    return bytes;
  };
  const bytes = await connection.request('read', read, {});
  if (bytes !== undefined) return bytes;
  throw new Text2ImgError('store_failed', `the object ${url} was replaced or deleted while it was read.`);
}

/** Undefined: this generation is gone. */
async function downloaded(download: Promise<Uint8Array>): Promise<Uint8Array | undefined> {
  try {
    return await download;
  } catch (error) {
    if (statusOf(error) === 404) return undefined;
    throw error;
  }
}
