/** Entity tags of images: a cache asks with the tag that it has whether the image is still the same (RFC 9110, section 8.8.3). */
import { createHash } from 'node:crypto';

/** A strong one: the same bytes have the same tag on every server. */
export function entityTag(bytes: Uint8Array): string {
  return `"${createHash('sha256').update(bytes).digest('base64url').slice(0, 32)}"`;
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
