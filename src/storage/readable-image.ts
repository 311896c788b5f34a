/** Whether an object may be handed out: within the bound, and of the document that was named. Both stores decide it here. */
import { Text2ImgError } from '../errors/text2img-error.ts';
import { excerpt } from '../lib/foreign-text.ts';
import { describeOwner, whoseObject } from './doc-key.ts';
import type { ImageMetadata, ReadOptions } from './image-store.ts';

const URL_LENGTH = 300;
/** Of UTF-8 (https://cloud.google.com/storage/docs/objects#naming). */
const MAX_NAME_BYTES = 1024;

/** Whether an object can have this name. Others would lead a request, or a path, somewhere else. */
export function isObjectName(name: string): boolean {
  const isPlain = !['', '.', '..'].includes(name) && !/[\0\r\n]/.test(name);
  return isPlain && Buffer.byteLength(name) <= MAX_NAME_BYTES;
}

export interface FoundObject {
  readonly url: string;
  readonly metadata: ImageMetadata | undefined;
  /** Undefined: not known before it is read. */
  readonly sizeBytes: number | undefined;
}

/** @throws `image_too_large`, `foreign_object` */
export function checkReadable({ url, metadata, sizeBytes }: FoundObject, { maxBytes, docKey }: ReadOptions): void {
  const name = excerpt(url, URL_LENGTH);
  const isOwn = docKey === undefined || (metadata !== undefined && whoseObject(metadata.docKey, docKey) === 'same');
  if (!isOwn)
    throw new Text2ImgError(
      'foreign_object',
      `${name} is not of this document: it belongs to ${describeOwner(metadata?.docKey) ?? 'somebody else'}.`,
    );
  if (sizeBytes !== undefined && sizeBytes > maxBytes) throw tooLarge(url, { has: `${sizeBytes} bytes`, maxBytes });
}

/** @param size `has`: how large it is, as far as it is known */
export function tooLarge(
  url: string,
  { has, maxBytes }: { readonly has: string; readonly maxBytes: number },
): Text2ImgError {
  const name = excerpt(url, URL_LENGTH);
  return new Text2ImgError('image_too_large', `${name} has ${has}; allowed are at most ${maxBytes} bytes.`);
}
