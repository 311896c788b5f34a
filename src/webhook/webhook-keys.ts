/** The keys that webhooks are signed with, as Standard Webhooks writes them. Without cryptography: the table of options reads them at every start. */
import { Text2ImgError } from '../errors/text2img-error.ts';

const PREFIX = 'whsec_';
/** The specification allows these lengths. */
const MIN_KEY_BYTES = 24;
const MAX_KEY_BYTES = 64;
/** Of 24 random bytes fewer than 8 are different once in 10²⁴ times. */
const LEAST_DIFFERENT_BYTES = 8;
/** Everybody can read it in the specification. */
const EXAMPLE = 'MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';

/** Whether anybody could guess it: a few bytes repeated. Test set-ups have such keys, so it is worth a warning, no refusal. */
export function isWeakKey(key: Uint8Array): boolean {
  return new Set(key).size < LEAST_DIFFERENT_BYTES;
}

/**
 * The keys out of `--webhook-secret`: one, or several separated by spaces or commas while they are rotated.
 * @throws `invalid_option`, which never quotes a secret
 */
export function parseWebhookSecrets(text: string): readonly Buffer[] {
  return text
    .split(/[\s,]+/)
    .filter((secret) => secret !== '')
    .map((secret, index) => {
      const encoded = secret.startsWith(PREFIX) ? secret.slice(PREFIX.length) : secret;
      const key = Buffer.from(encoded, 'base64');
      const isBase64 = key.toString('base64').replace(/=+$/, '') === encoded.replace(/=+$/, '');
      const isLongEnough = key.length >= MIN_KEY_BYTES && key.length <= MAX_KEY_BYTES;
      const isPublic = encoded === EXAMPLE || key.every((byte) => byte === 0);
      if (isBase64 && isLongEnough && !isPublic) return key;
      throw new Text2ImgError(
        'invalid_option',
        `--webhook-secret number ${index + 1} (not shown) is not allowed${isBase64 && isLongEnough ? ' because everybody knows it' : ''}; ` +
          `it must be whsec_ and the base64 of ${MIN_KEY_BYTES} to ${MAX_KEY_BYTES} random bytes.`,
      );
    });
}
