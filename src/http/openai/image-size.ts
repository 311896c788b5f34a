/** `size`: `512x512`, or `auto` for the model's own. Sides that 8 does not divide are rounded down, with a warning. */
import { sizePair } from '../../job/field-types.ts';
import { SIDE_MULTIPLE_PX } from '../../job/request-fields.ts';
import { refusedValue } from './stated-value.ts';

export interface ReadSize {
  readonly width?: number;
  readonly height?: number;
  readonly warnings: readonly string[];
}

/** Words for the model's own size. */
const OWN_SIZE: ReadonlySet<unknown> = new Set([undefined, null, '', 'auto']);

/** @throws `invalid_parameter` */
export function readSize(value: unknown): ReadSize {
  const word = typeof value === 'string' ? value.trim().toLowerCase() : value;
  if (OWN_SIZE.has(word)) return { warnings: [] };
  const [height, width] = (typeof word === 'string' ? sizePair.parseText(word) : undefined) ?? [];
  if (width === undefined || height === undefined || width < SIDE_MULTIPLE_PX || height < SIDE_MULTIPLE_PX)
    throw refusedValue(
      'size',
      value,
      `"auto" and WIDTHxHEIGHT in pixels, each at least ${SIDE_MULTIPLE_PX}, such as 512x512`,
    );
  const rounded = { width: roundedSide(width), height: roundedSide(height) };
  if (rounded.width === width && rounded.height === height) return { ...rounded, warnings: [] };
  return { ...rounded, warnings: [`size ${width}x${height} was rounded down to ${rounded.width}x${rounded.height}.`] };
}

/** A side by itself. A value that is no number stays, and is refused with the document. */
export function roundedSide<T>(side: T): T | number {
  return typeof side === 'number' && side >= SIDE_MULTIPLE_PX
    ? Math.floor(side / SIDE_MULTIPLE_PX) * SIDE_MULTIPLE_PX
    : side;
}
