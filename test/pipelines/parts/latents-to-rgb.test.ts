/** Previews out of latents. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  knownRgbFactors,
  latentsToRgb,
  STABLE_DIFFUSION_RGB_FACTORS,
  STABLE_DIFFUSION_XL_RGB_FACTORS,
} from '../../../src/pipelines/parts/latents-to-rgb.ts';

test('a pixel is a linear function of its latent, cut to the range of a byte', () => {
  // python3 -c "f=[[.3512,.2297,.3227],[.325,.4974,.235],[-.2829,.1762,.2721],[-.212,-.2616,-.7177]]
  // for l in [[1,1,1,1],[9,9,0,0],[-9,-9,0,0]]: print([int(min(1,max(0,(sum(v*r[c] for v,r in zip(l,f))+1)/2))*255) for c in range(3)])"
  const latents = Float32Array.of(1, 9, -9, 1, 9, -9, 1, 0, 0, 1, 0, 0); // [4, 1, 3]
  const { widthPx, heightPx, channels, pixels } = latentsToRgb(latents, [4, 1, 3], STABLE_DIFFUSION_RGB_FACTORS);
  assert.deepEqual([widthPx, heightPx, channels], [3, 1, 3]);
  assert.deepEqual([...pixels], [150, 209, 141, 255, 255, 255, 0, 0, 0]);
});

test('a preview of a very large image keeps its shape and has no side of more than 256 pixels', () => {
  const [height, width] = [300, 512];
  const latents = new Float32Array(4 * height * width);
  const { widthPx, heightPx, pixels } = latentsToRgb(latents, [4, height, width], STABLE_DIFFUSION_RGB_FACTORS);
  assert.deepEqual([widthPx, heightPx, pixels.length], [256, 150, 256 * 150 * 3]);
});

test('factors of another latent space are refused', () => {
  assert.throws(() => latentsToRgb(new Float32Array(16), [16, 1, 1], STABLE_DIFFUSION_RGB_FACTORS), RangeError);
});

test('the latents are known by their channels and scaling factor, whatever family the autoencoder was put into', () => {
  const sd = { latentChannels: 4, scalingFactor: 0.18215, hasStatistics: false, isTiny: false };
  const known = (changes: Partial<typeof sd>) => knownRgbFactors({ ...sd, ...changes }, STABLE_DIFFUSION_RGB_FACTORS);
  assert.equal(known({}), STABLE_DIFFUSION_RGB_FACTORS);
  assert.equal(known({ scalingFactor: 0.13025 }), STABLE_DIFFUSION_XL_RGB_FACTORS);
  assert.equal(known({ scalingFactor: 1, isTiny: true }), STABLE_DIFFUSION_RGB_FACTORS, 'a TAESD reads the family’s');
  assert.equal(known({ scalingFactor: 1 }), undefined);
  assert.equal(known({ latentChannels: 8 }), undefined);
  assert.equal(known({ scalingFactor: 0.13025, hasStatistics: true }), undefined);
});
