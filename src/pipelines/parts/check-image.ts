/** Checks that the numbers are an image: numbers that are not finite on the way to it, or one colour everywhere. */
import { Text2ImgError } from '../../errors/text2img-error.ts';

const ADVICE = 'the model’s weights or its configuration may be damaged.';

/** @param what whose numbers they are, like "the latents after step 3 of 20" @returns the error, or undefined where all are finite */
export function notFinite(values: Float32Array, what: string): Text2ImgError | undefined {
  if (areFinite(values)) return undefined;
  const bad = values.reduce((count, value) => (Number.isFinite(value) ? count : count + 1), 0);
  return new Text2ImgError(
    'invalid_image',
    `${bad} of the ${values.length} numbers of ${what} are NaN or infinite, so there is no image; ${ADVICE}`,
  );
}

/** By index, because `for … of` over 786,432 numbers takes ten times as long. */
function areFinite(values: Float32Array): boolean {
  for (let index = 0; index < values.length; index++) if (!Number.isFinite(values[index])) return false;
  return true;
}

/**
 * Whether the autoencoder's result is an image, looked at before it is clamped to colours.
 * @param decoded [1, C, H, W] @param pixels H · W @returns the error, or undefined for an image
 */
export function notAnImage(decoded: Float32Array, pixels: number): Text2ImgError | undefined {
  const infinite = notFinite(decoded, 'the autoencoder’s result');
  if (infinite !== undefined) return infinite;
  // A value is compared with the first of its channel.
  const differs = decoded.some((value, index) => value !== decoded[index - (index % pixels)]);
  if (differs) return undefined;
  return new Text2ImgError(
    'invalid_image',
    `the autoencoder’s result has one colour everywhere, so it is no image; ${ADVICE}`,
  );
}
