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

/** Zero times a number is zero only where it is finite. Four sums, because each addition waits for the one before it. */
function areFinite(values: Float32Array): boolean {
  const { length } = values;
  const whole = length - (length % 4);
  let [a, b, c, d] = [0, 0, 0, 0];
  for (let index = 0; index < whole; index += 4) {
    a += (values[index] as number) * 0;
    b += (values[index + 1] as number) * 0;
    c += (values[index + 2] as number) * 0;
    d += (values[index + 3] as number) * 0;
  }
  for (let index = whole; index < length; index++) a += (values[index] as number) * 0;
  return a + b + c + d === 0;
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
