/** Which bytes a `Range` header asks for (RFC 9110, section 14). */

export type RangeAnswer =
  /** No range was asked for, or one that may be left aside: all bytes. */
  | { readonly kind: 'whole' }
  /** `end` is the last byte, included. */
  | { readonly kind: 'part'; readonly start: number; readonly end: number }
  /** No byte of it exists. */
  | { readonly kind: 'unsatisfiable' };

const WHOLE: RangeAnswer = { kind: 'whole' };

/**
 * Several ranges, another unit and a header that is none get the whole image, which the RFC allows.
 * @param sizeBytes of the image; more than 0
 */
export function byteRange(header: string | undefined, sizeBytes: number): RangeAnswer {
  const [, first, last] = /^bytes=(\d{0,15})-(\d{0,15})$/i.exec(header?.trim() ?? '') ?? [];
  if (first === undefined || last === undefined || (first === '' && last === '')) return WHOLE;
  if (first === '') {
    const count = Number(last);
    return count === 0 ? { kind: 'unsatisfiable' } : part(Math.max(0, sizeBytes - count), sizeBytes - 1);
  }
  const start = Number(first);
  const end = last === '' ? Infinity : Number(last);
  if (end < start) return WHOLE;
  return start >= sizeBytes ? { kind: 'unsatisfiable' } : part(start, Math.min(end, sizeBytes - 1));
}

function part(start: number, end: number): RangeAnswer {
  return { kind: 'part', start, end };
}
