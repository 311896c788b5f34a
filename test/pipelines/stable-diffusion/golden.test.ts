/**
 * Same request, same seed, same pixels as diffusers: every case of test/golden, drawn through checkpoint, graphs, ONNX Runtime, schedulers and pipeline.
 * The expectations are made by `reference/make_golden_cases.py` (diffusers 0.42.1, torch 2.15, float32 on the CPU).
 */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { CASE_NAMES, drawCase, type GoldenCase, largestDifference, readCase } from './golden-cases.ts';
import { waitsFor } from './golden-waiting.ts';

/** A case whose scheduler is not in the registry yet is drawn all the same, and reported as "todo": its failure is told and is no error. */
function waitingFor({ request }: GoldenCase): { readonly todo?: string } {
  const scheduler = waitsFor(request);
  return scheduler === undefined ? {} : { todo: `waits for ${scheduler}` };
}

suite('every pixel is within 1/255 of diffusers', () => {
  assert.ok(
    CASE_NAMES.length >= 45,
    `test/golden has ${CASE_NAMES.length} cases only; run: python reference/make_golden_cases.py`,
  );
  for (const name of CASE_NAMES) {
    const golden = readCase(name);
    test(`${name}: ${golden.about}`, waitingFor(golden), async () => {
      const { images } = await drawCase(name);
      assert.equal(images.length, golden.expected.length);
      for (const [index, { image }] of images.entries()) {
        const difference = largestDifference(name, index, image);
        assert.ok(
          difference <= 1,
          `test/golden/${name}/${golden.expected[index]} differs by ${difference}; examples/one-image.ts generates in one process, for a debugger`,
        );
      }
    });
  }
});

test('image 3 of four is bit for bit the picture of its seed alone', async () => {
  const { images } = await drawCase('four-images');
  const seed = Number(readCase('four-images').request['seed']) + 2;
  const alone = await drawCase('four-images', { changes: { num_images: 1, seed } });
  assert.deepEqual(alone.images[0]?.image.pixels, images[2]?.image.pixels);
});

test('what is cut off a long prompt is told', async () => {
  const { warnings } = await drawCase('long-prompt');
  assert.equal(warnings.length, 1);
  assert.match(warnings[0] ?? '', /at most 77 tokens; left out: ".*and the end that is cut/);
});
