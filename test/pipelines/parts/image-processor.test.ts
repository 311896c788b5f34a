/** Pixels are those of diffusers: 8 bits a channel, halves to the even neighbour. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { toRgb } from '../../../src/pipelines/parts/image-processor.ts';

/**
 * Python with diffusers 0.42.1: `VaeImageProcessor().postprocess(values.reshape(1, 1, 1, -1).repeat(1, 3, 1, 1), output_type='pil')`. The first six
 * lie in the middle between two colours.
 */
const COLOURS: readonly (readonly [value: number, colour: number])[] = [
  [-0.4941176474094391, 64],
  [-0.48627451062202454, 66],
  [-0.47843137383461, 66],
  [-0.47058823704719543, 68],
  [-0.4627451002597809, 68],
  [-0.45490196347236633, 70],
  [-1, 0],
  [1, 255],
  [0, 128],
  [-1.000100016593933, 0],
  [1.000100016593933, 255],
  [-3e38, 0],
  [3e38, 255],
  [0.004000000189989805, 128],
  [-0.004000000189989805, 127],
];

test('numbers become the colours of diffusers', () => {
  const values = COLOURS.map(([value]) => value);
  const image = Float32Array.from([...values, ...values, ...values]);
  const expected = COLOURS.flatMap(([, colour]) => [colour, colour, colour]);
  assert.deepEqual(Array.from(toRgb(image, COLOURS.length)), expected);
});

test('planes of red, green and blue become pixels row by row', () => {
  const image = Float32Array.of(-1, 1, -1, 1, 1, -1);
  assert.deepEqual(Array.from(toRgb(image, 2)), [0, 0, 255, 255, 255, 0]);
});
