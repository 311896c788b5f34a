/** Errors after which a client should wait for a measured time, instead of the one that `server/status-of.ts` has for their code. */
import type { Text2ImgError } from '../../errors/text2img-error.ts';

/** OpenAI's SDK for Node ignores more, and the one for Python does not retry above 120. */
const LONGEST_S = 60;

const measured = new WeakMap<Text2ImgError, number>();

/** The error itself. @param seconds undefined: nobody knows */
export function retryAfter(error: Text2ImgError, seconds: number | undefined): Text2ImgError {
  if (seconds !== undefined) measured.set(error, Math.min(LONGEST_S, Math.max(1, Math.ceil(seconds))));
  return error;
}

/** Whole seconds from 1 to 60. */
export function measuredRetryAfter(error: Text2ImgError): number | undefined {
  return measured.get(error);
}
