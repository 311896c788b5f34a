/** Entity tags of images: a cache asks with the tag that it has whether the image is still the same (RFC 9110, section 8.8.3). */
import { createHash } from 'node:crypto';
import type { OpenImage } from '../../storage/image-store.ts';

/** A strong one: the same bytes have the same tag on every server and in every store that knows their sum. */
export function entityTag({ md5, generation }: Pick<OpenImage, 'md5' | 'generation'>): string {
  if (md5 !== undefined) return `"${Buffer.from(md5, 'base64').toString('base64url')}"`;
  return `"v-${createHash('sha256').update(generation).digest('base64url').slice(0, 22)}"`;
}

/** Whether `If-None-Match` names this tag; a weak one of the same value counts. */
export function isKnown(ifNoneMatch: string | undefined, tag: string): boolean {
  if (ifNoneMatch === undefined) return false;
  const given = ifNoneMatch.trim();
  return given === '*' || given.split(',').some((one) => one.trim().replace(/^W\//, '') === tag);
}

/** Whether a range may be answered: `If-Range` is absent or names exactly this tag. A date never does: images have none. */
export function isSameVersion(ifRange: string | undefined, tag: string): boolean {
  return ifRange === undefined || ifRange.trim() === tag;
}
