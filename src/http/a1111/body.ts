/**
 * The body of a request of this door, and its values as clients write them. Some programs send numbers as text, and null or an empty text for none.
 * SillyTavern puts the server's URL and password into the body: these fields are removed before anything else reads it.
 */
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { isRecord, own } from '../../lib/foreign-record.ts';

export type Body = Readonly<Record<string, unknown>>;

const SECRETS: ReadonlySet<string> = new Set(['url', 'auth', 'key']);
/** They hold whole images, or arguments of scripts that do not run here. Their values are neither repeated nor quoted. */
export const BULKY: ReadonlySet<string> = new Set([
  'images',
  'image',
  'init_images',
  'extra_images',
  'mask',
  'mask_image',
  'firstpass_image',
  'alwayson_scripts',
  'script_args',
]);

const NUMBER = /^\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?\s*$/i;

/** @returns the body without the fields `url`, `auth` and `key` @throws `invalid_parameter` for a body that is no JSON object */
export function readBody(body: unknown): Body {
  // The body is not quoted: it may hold a password at any place.
  if (!isRecord(body)) throw new Text2ImgError('invalid_parameter', 'The body is not a JSON object.');
  return Object.fromEntries(Object.entries(body).filter(([name]) => !SECRETS.has(name)));
}

/** The value under `name`; null and an empty text count as absent. */
export function statedIn(body: Body, name: string): unknown {
  const value = own(body, name);
  return value === null || (typeof value === 'string' && value.trim() === '') ? undefined : value;
}

/** A number that was written as text; any other value stays, and is refused with the document. */
export function numberIn(body: Body, name: string): unknown {
  const value = statedIn(body, name);
  return typeof value === 'string' && NUMBER.test(value) ? Number(value) : value;
}

export function textIn(body: Body, name: string): string | undefined {
  const value = statedIn(body, name);
  return typeof value === 'string' ? value : undefined;
}

/** A value that asks for nothing: clients send one for each field that they know. */
export function isEmpty(value: unknown): boolean {
  if (value === undefined || value === null || value === '') return true;
  return typeof value === 'object' && Object.keys(value).length === 0;
}
