/**
 * Same request, same seed, same pixels as diffusers, with OpenVINO in float32: cases of each family and each kind of network. All cases of test/golden
 * were within 1/255 when this was written; a compilation for each size makes them too slow for every run.
 */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { openvinoIn } from '../../../src/runtime/registry.ts';
import { LIBRARY_FOLDER, NO_OPENVINO } from '../../runtime/openvino/installed-libraries.ts';
import { drawCase, largestDifference, readCase } from './golden-cases.ts';

const NAMES = [
  'guidance-7.5',
  'four-images',
  'clip-skip',
  'class-img2img',
  'vae-tiling',
  'vae-tiny',
  'unet-options',
  'sd2-dpmpp-2m',
  'xl-defaults',
  'lcm-defaults',
];

suite('every pixel is within 1/255 of diffusers with OpenVINO', { skip: NO_OPENVINO }, () => {
  const runtime = openvinoIn(LIBRARY_FOLDER);
  for (const name of NAMES)
    test(`${name}: ${readCase(name).about}`, async () => {
      const { images } = await drawCase(name, { runtime });
      assert.equal(images.length, readCase(name).expected.length);
      for (const [index, { image }] of images.entries()) {
        const difference = largestDifference(name, index, image);
        assert.ok(difference <= 1, `image ${index} differs by ${difference}`);
      }
    });
});
