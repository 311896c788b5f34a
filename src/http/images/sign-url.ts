/**
 * Links to images that need no key, for an hour. The signature is an HMAC-SHA256 over the prompt's id, the image's number and the end of the link's
 * life. A link names nothing else, so its holder can read that one image and no other.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';

/** OpenAI's links live as long (https://platform.openai.com/docs/api-reference/images). */
const LINK_LIFE_S = 60 * 60;
/** Longer ones were not made here. */
const MAX_EXP_DIGITS = 12;

/** Which image of which prompt. */
export interface ImagePlace {
  readonly id: string;
  /** From 0. */
  readonly index: number;
}

interface Signed extends ImagePlace {
  /** As the URL has them. */
  readonly exp: unknown;
  readonly sig: unknown;
}

/** `invalid`: not made with one of the secrets, or changed since. */
export type LinkState =
  | { readonly kind: 'valid'; readonly secondsLeft: number }
  | { readonly kind: 'expired' | 'invalid' };

export interface SignerOptions {
  /** The first signs, each is accepted: to change a secret, put the new one before the old one for an hour. */
  readonly secrets: readonly [string, ...string[]];
  /** Milliseconds since 1970. */
  readonly now?: () => number;
}

export class UrlSigner {
  readonly #secrets: readonly [string, ...string[]];
  readonly #now: () => number;

  constructor({ secrets, now = Date.now }: SignerOptions) {
    this.#secrets = secrets;
    this.#now = now;
  }

  /** @returns a path with its query; the caller puts the server's address before it */
  sign(place: ImagePlace): string {
    const exp = Math.floor(this.#now() / 1000) + LINK_LIFE_S;
    const sig = signature(this.#secrets[0], place, exp);
    return `${imagePath(place)}?exp=${exp}&sig=${sig}`;
  }

  check({ id, index, exp, sig }: Signed): LinkState {
    if (typeof exp !== 'string' || typeof sig !== 'string' || !/^\d+$/.test(exp) || exp.length > MAX_EXP_DIGITS)
      return { kind: 'invalid' };
    const end = Number(exp);
    const isOurs = this.#secrets.some((secret) => isSame(sig, signature(secret, { id, index }, end)));
    // A leading zero would be another text of the same number.
    if (!isOurs || exp !== String(end)) return { kind: 'invalid' };
    const secondsLeft = Math.floor(end - this.#now() / 1000);
    return secondsLeft > 0 ? { kind: 'valid', secondsLeft } : { kind: 'expired' };
  }
}

/** `/images/<id>/<k>.png`: clients take the file's kind from the path. */
export function imagePath({ id, index }: ImagePlace): string {
  return `/images/${encodeURIComponent(id)}/${index}.png`;
}

/** The form in which images are numbered in paths. @returns undefined for anything else */
export function imageIndexOf(fileName: string): number | undefined {
  const digits = /^(0|[1-9]\d{0,5})\.png$/.exec(fileName)?.[1];
  return digits === undefined ? undefined : Number(digits);
}

function signature(secret: string, { id, index }: ImagePlace, exp: number): string {
  return createHmac('sha256', secret).update(`v1\n${id}\n${index}\n${exp}`).digest('base64url');
}

/** Takes as long for any text of the right length. */
function isSame(given: string, expected: string): boolean {
  const [one, other] = [Buffer.from(given), Buffer.from(expected)];
  return one.length === other.length && timingSafeEqual(one, other);
}
