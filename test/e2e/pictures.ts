/** Looks at the demo's pictures: mean colours of places, against the colours that the demo checkpoint was trained on. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { decode } from 'fast-png';

type Rgb = readonly [red: number, green: number, blue: number];

/** `COLORS` of reference/demo-model/scenes.py. */
const COLORS = {
  red: [214, 48, 49],
  orange: [240, 138, 36],
  yellow: [247, 208, 60],
  green: [58, 160, 80],
  blue: [44, 100, 214],
  purple: [128, 64, 176],
  pink: [242, 136, 176],
  white: [245, 245, 245],
  black: [24, 24, 28],
  cyan: [60, 196, 206],
} as const satisfies Record<string, Rgb>;

type ColorName = keyof typeof COLORS;

/** The prompts of reference/demo-model/README.md whose colours hold for the checkpoint's output in diffusers. */
export const SHAPES: Readonly<Record<string, readonly [centre: ColorName, border: ColorName]>> = {
  'a red circle on a white background': ['red', 'white'],
  'a blue star on a yellow background': ['blue', 'yellow'],
  'a green triangle on black': ['green', 'black'],
  'a purple heart on a pink background': ['purple', 'pink'],
  'an orange square on a cyan background': ['orange', 'cyan'],
  'a white diamond on a blue background': ['white', 'blue'],
  'a black circle, yellow background': ['black', 'yellow'],
  'a pink heart on white': ['pink', 'white'],
};

/** Levels per channel that the same README allows a test. */
const TOLERANCE = 60;

/** The mean of the central 20 × 20 pixels is the shape's colour, that of the top and bottom 10 rows the ground's. */
export function assertShapeColours(path: string, prompt: string): void {
  const names = SHAPES[prompt];
  assert.ok(names !== undefined, `${prompt} is none of the checked prompts`);
  const { width, height, data, channels } = decode(readFileSync(path));
  assert.equal(channels, 3);
  const meanOf = (inside: (x: number, y: number) => boolean): number[] => {
    const sums = [0, 0, 0];
    let count = 0;
    for (let y = 0; y < height; y += 1) {
      for (let x = 0; x < width; x += 1) {
        if (!inside(x, y)) continue;
        count += 1;
        for (let channel = 0; channel < 3; channel += 1)
          sums[channel] = (sums[channel] ?? 0) + (data[(y * width + x) * 3 + channel] ?? 0);
      }
    }
    return sums.map((sum) => sum / count);
  };
  assertClose(
    meanOf((x, y) => Math.abs(x + 0.5 - width / 2) < 10 && Math.abs(y + 0.5 - height / 2) < 10),
    names[0],
    `centre of "${prompt}"`,
  );
  assertClose(
    meanOf((_, y) => y < 10 || y >= height - 10),
    names[1],
    `border of "${prompt}"`,
  );
}

function assertClose(mean: readonly number[], name: ColorName, where: string): void {
  const wanted = COLORS[name];
  const worst = Math.max(...wanted.map((level, channel) => Math.abs(level - (mean[channel] ?? Number.NaN))));
  assert.ok(
    worst <= TOLERANCE,
    `the ${where} should be ${name} (${wanted.join(' ')}), and is ${mean.map(Math.round).join(' ')}`,
  );
}
