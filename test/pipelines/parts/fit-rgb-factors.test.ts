/** Factors of previews for latents that nobody has fitted before. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fitRgbFactors } from '../../../src/pipelines/parts/fit-rgb-factors.ts';
import type { VaeDecoder } from '../../../src/pipelines/parts/networks.ts';

/** Of each of five channels, and the bias. */
const TRUE_FACTORS = [
  [0.5, -0.25, 0.125],
  [0, 0.75, -0.5],
  [-0.3, 0.1, 0.2],
  [0.05, 0.05, 0.9],
  [0, 0, 0],
  [0.1, -0.2, 0.3],
] as const;
const SCALE = 4;
const SCALING_FACTOR = 0.25;

/** Each latent is a square of one colour, and a pattern within each square that its mean does not show. */
const linear: VaeDecoder = {
  scaleFactor: SCALE,
  scalingFactor: SCALING_FACTOR,
  decode: async (latents, [channels, height, width]) => {
    const [pixelHeight, pixelWidth] = [height * SCALE, width * SCALE];
    return Float32Array.from({ length: 3 * pixelHeight * pixelWidth }, (_, index) => {
      const [x, y] = [index % pixelWidth, Math.floor(index / pixelWidth) % pixelHeight];
      const colour = Math.floor(index / (pixelWidth * pixelHeight));
      const place = Math.floor(y / SCALE) * width + Math.floor(x / SCALE);
      let value = TRUE_FACTORS[channels]?.[colour] ?? 0;
      for (let channel = 0; channel < channels; channel++)
        value +=
          (latents[channel * height * width + place] ?? 0) * SCALING_FACTOR * (TRUE_FACTORS[channel]?.[colour] ?? 0);
      return value + (x % 2 === 0 ? 0.5 : -0.5);
    });
  },
};

test('the factors of an autoencoder that is linear in its scaled latents are found, its bias too', async () => {
  const { rows, bias } = await fitRgbFactors(linear, 5);
  const found = [...rows, bias ?? []];
  assert.equal(found.length, TRUE_FACTORS.length);
  for (const [index, expected] of TRUE_FACTORS.entries())
    for (const [colour, value] of expected.entries())
      assert.ok(
        Math.abs((found[index]?.[colour] ?? NaN) - value) < 1e-3,
        `${index} ${colour}: ${found[index]?.join(' ')}`,
      );
});

test('latents with statistics are brought back before they are decoded', async () => {
  const statistics = { mean: [1, 2, 3, 4, 5], deviation: [2, 2, 2, 2, 2] };
  const { rows, bias } = await fitRgbFactors({ ...linear, statistics }, 5);
  const plain = TRUE_FACTORS.map(([red]) => red);
  // The decoder sees deviation · latent / scaling factor + mean; it multiplies by the scaling factor.
  for (const [channel, [red = NaN]] of rows.entries()) assert.ok(Math.abs(red - 2 * (plain[channel] ?? NaN)) < 1e-3);
  const shift = statistics.mean.reduce(
    (sum, mean, channel) => sum + mean * SCALING_FACTOR * (plain[channel] ?? 0),
    0.1,
  );
  assert.ok(Math.abs((bias?.[0] ?? NaN) - shift) < 1e-3);
});

test('an autoencoder that decodes no numbers has no factors', async () => {
  const broken: VaeDecoder = { ...linear, decode: async () => new Float32Array(3 * (16 * SCALE) ** 2).fill(NaN) };
  await assert.rejects(fitRgbFactors(broken, 5), RangeError);
});
