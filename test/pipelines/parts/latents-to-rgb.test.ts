/** Previews out of latents. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { latentsToRgb, STABLE_DIFFUSION_RGB_FACTORS } from '../../../src/pipelines/parts/latents-to-rgb.ts';

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
