/** The lines of a key file: `name:sha256hex`, then `admin` and limits. The secret itself stands nowhere. */
import { createHash, randomBytes } from 'node:crypto';
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { own } from '../../lib/foreign-record.ts';
import { quote } from '../../lib/foreign-text.ts';
import type { ApiKey } from '../front/caller.ts';
import type { KeyLimits } from '../front/limits.ts';

/** A line that holds a key. */
export interface KeyLine {
  readonly key: ApiKey;
  /** Of the secret; in lower case. */
  readonly hash: string;
}

export const KEY_NAME = /^[A-Za-z0-9._-]{1,64}$/;
/** For sentences. */
export const KEY_NAME_ALLOWED = '1 to 64 letters, digits, dots, dashes and underscores';
const HASH = /^[0-9a-f]{64}$/i;
const SECRET_BYTES = 32;
const LIMIT_NAMES: Readonly<Record<string, keyof KeyLimits>> = {
  max_pending: 'maxPending',
  max_open: 'maxOpen',
  max_images: 'maxImages',
  max_pixels: 'maxPixels',
};
const LIMIT = /^([a-z_]+)=(\d{1,15})$/;

/** Random, so a plain hash hides it well: nobody can try 2^256 of them. */
export function newSecret(): string {
  return `t2i_${randomBytes(SECRET_BYTES).toString('base64url')}`;
}

export function hashOfSecret(secret: string): string {
  return createHash('sha256').update(secret).digest('hex');
}

/** @param path for errors @throws `invalid_option` that names the line, never what is in it */
export function readKeyLines(text: string, path: string): readonly KeyLine[] {
  return text.split('\n').flatMap((line, index) => {
    const words = line.trim();
    if (words === '' || words.startsWith('#')) return [];
    const refuse = (why: string): Text2ImgError =>
      new Text2ImgError('invalid_option', `Line ${index + 1} of the key file ${quote(path)} ${why}.`);
    return [readLine(words.split(/\s+/), refuse)];
  });
}

function readLine([first = '', ...rest]: readonly string[], refuse: (why: string) => Text2ImgError): KeyLine {
  const colon = first.indexOf(':');
  const [name, hash] = [first.slice(0, Math.max(0, colon)), first.slice(colon + 1)];
  if (!KEY_NAME.test(name) || !HASH.test(hash))
    throw refuse(
      'does not begin with a name, a colon and the SHA-256 of a key; "text2img keys create" writes such lines',
    );
  const limits: { -readonly [Name in keyof KeyLimits]: KeyLimits[Name] } = {};
  let isAdmin = false;
  for (const word of rest) {
    const [, limit = '', number] = LIMIT.exec(word) ?? [];
    const known = own(LIMIT_NAMES, limit);
    if (word === 'admin') isAdmin = true;
    else if (known !== undefined) limits[known] = Number(number);
    else
      throw refuse(
        `has a word that is neither admin nor a limit such as max_open=10 (${Object.keys(LIMIT_NAMES).join(', ')})`,
      );
  }
  return { key: { name, isAdmin, limits }, hash: hash.toLowerCase() };
}

export function keyLineText({ key: { name, isAdmin, limits }, hash }: KeyLine): string {
  const words = Object.entries(LIMIT_NAMES).flatMap(([word, limit]) =>
    limits[limit] === undefined ? [] : [`${word}=${limits[limit]}`],
  );
  return [`${name}:${hash}`, ...(isAdmin ? ['admin'] : []), ...words].join(' ');
}
