/**
 * Loops that begin at an image, compared with diffusers 0.42.1: where they begin, the noised image, what the network predicts of the image, and the
 * end. `image-start-vectors.json` is the output of `reference/make_image_start_vectors.py`.
 */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { suite, test } from 'node:test';
import { Text2ImgError } from '../../src/errors/text2img-error.ts';
import { TorchCpuGenerator } from '../../src/noise/torch-cpu-random.ts';
import { SCHEDULERS } from '../../src/schedulers/registry.ts';
import { pseudoLoop } from './pseudo-network.ts';

interface Vector {
  readonly scheduler: string;
  readonly config: Readonly<Record<string, unknown>>;
  readonly steps: number;
  readonly strength: number;
  readonly firstPass: number;
  readonly timesteps: readonly number[];
  readonly noised: readonly number[];
  readonly predicted: readonly [first: readonly number[], last: readonly number[]] | null;
  readonly result: readonly number[];
}

const vectors = JSON.parse(await readFile(new URL('image-start-vectors.json', import.meta.url), 'utf8')) as Vector[];

function assertNear(actual: Float32Array | undefined, expected: readonly number[], what: string): void {
  assert.equal(actual?.length, expected.length, what);
  const scale = Math.max(1, ...expected.map(Math.abs));
  for (const [index, value] of (actual ?? []).entries())
    assert.ok(
      Math.abs(value - (expected[index] as number)) <= 1e-5 * scale,
      `${what}: element ${index} is ${value}, not ${expected[index]}`,
    );
}

suite('schedulers begin at an image as diffusers', () => {
  for (const { className: name, create } of SCHEDULERS) {
    const own = vectors.filter((vector) => vector.scheduler === name);
    // Classes that came later have theirs in vectors/.
    if (own.length > 0)
      test(`${name}: ${own.length} loops begin at the same pass with the same noise and end within 1e-5 of diffusers`, () => {
        for (const { config, steps, strength, ...expected } of own) {
          const what = `${name} ${steps} steps, strength ${strength}, ${JSON.stringify(config)}`;
          const scheduler = create(config, { steps });
          const firstPass = scheduler.firstPass(strength);
          assert.equal(firstPass, expected.firstPass, what);
          const timesteps = scheduler.passes.slice(firstPass).map(({ timestep }) => timestep);
          assert.equal(timesteps.length, expected.timesteps.length, what);
          for (const [index, timestep] of timesteps.entries())
            assert.ok(Math.abs(timestep - (expected.timesteps[index] as number)) <= 1e-3, `${what}: timestep ${index}`);
          const noise = new TorchCpuGenerator(11);
          const original = Float32Array.from(expected.result, (_, index) => Math.cos(0.7 * index));
          const start = scheduler.addNoise({ original, noise: noise.next(original.length), pass: firstPass });
          assertNear(start, expected.noised, `${what}: noised`);
          const { sample, predicted } = pseudoLoop({ scheduler, start, firstPass, noise });
          if (expected.predicted !== null) {
            assertNear(predicted[0], expected.predicted[0], `${what}: predicted in the first pass`);
            assertNear(predicted.at(-1), expected.predicted[1], `${what}: predicted in the last pass`);
          }
          assertNear(sample, expected.result, `${what}: result`);
        }
      });

    test(`${name}: a strength that leaves no step, or is no part of 1, is refused with a sentence`, () => {
      const scheduler = create({ skip_prk_steps: true }, { steps: 20 });
      for (const strength of [0, -0.5, 0.049, 1.01, Number.NaN, Number.POSITIVE_INFINITY])
        assert.throws(
          () => scheduler.firstPass(strength),
          (error) =>
            error instanceof Text2ImgError &&
            error.code === 'invalid_parameter' &&
            error.message.includes(`"strength" is ${strength}; with 20 steps allowed are numbers from 0.05 to 1`),
        );
      const last = scheduler.firstPass(0.05);
      assert.ok(last >= 19 && last < scheduler.passes.length, `the last step begins at pass ${last}`);
    });
  }
});
