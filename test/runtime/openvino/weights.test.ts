/** Weights in OpenVINO: mapped where they lie, or once more in float32 in the compile cache. No number changes. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, suite, test } from 'node:test';
import { openComponentWeights } from '../../../src/checkpoint/component-weights.ts';
import type { BuiltGraph } from '../../../src/onnx/graph.ts';
import { openvinoIn } from '../../../src/runtime/registry.ts';
import { float32, floatsOf } from '../../../src/runtime/tensors.ts';
import { openOnCpu } from '../open-on-cpu.ts';
import { graphOf, STORED, weightsOf } from '../stored-types.ts';
import { LIBRARY_FOLDER, NO_OPENVINO } from './installed-libraries.ts';

const place = await mkdtemp(join(tmpdir(), 'text2img-openvino-weights-'));
after(() => rm(place, { recursive: true, force: true }));

const runtime = openvinoIn(LIBRARY_FOLDER);
const inputs = { one: float32(Float32Array.of(1), [1]) };

/** Its kernels may take numbers that float32 holds with fewer bits only for zero (here those of bfloat16). */
function normal(numbers: Iterable<number>): number[] {
  return Array.from(numbers, (value) => (Math.abs(value) < 2 ** -126 ? 0 : value));
}

/** Output → numbers. */
async function numbersOf(graph: BuiltGraph, folder?: string): Promise<Record<string, number[]>> {
  const cache = folder === undefined ? undefined : { folder, minWeightBytes: 0 };
  await using network = await openOnCpu(graph, cache, runtime);
  const results = await network.run(inputs);
  return Object.fromEntries(Object.keys(STORED).map((name) => [name, [...floatsOf(results, `${name}_out`)]]));
}

suite('weights in OpenVINO', { skip: NO_OPENVINO }, () => {
  test('every number of every type is the one that ONNX Runtime makes of it, in place and through the cache', async () => {
    const graph = graphOf(await weightsOf(join(place, 'types')));
    await using other = await openOnCpu(graph);
    const expected = await other.run(inputs);
    const ways = { inPlace: await numbersOf(graph), cached: await numbersOf(graph, join(place, 'types-cache')) };
    for (const [way, numbers] of Object.entries(ways))
      for (const name of Object.keys(STORED))
        assert.deepEqual(normal(numbers[name] ?? []), normal(floatsOf(expected, `${name}_out`)), `${way}: ${name}`);
  });

  test('the entry holds the weights in float32, and the next opening uses it', async () => {
    const folder = join(place, 'kept');
    const graph = graphOf(await weightsOf(join(place, 'kept-weights')));
    const first = await numbersOf(graph, folder);
    const entries = (await readdir(folder)).filter((name) => /^[0-9a-f]{32}$/.test(name));
    assert.equal(entries.length, 1);
    const entry = join(folder, entries[0] as string);
    assert.deepEqual((await readdir(entry)).toSorted(), ['text2img-cache-entry.json', 'widened-weights.bin']);
    assert.deepEqual(await numbersOf(graph, folder), first);
    await writeFile(join(entry, 'widened-weights.bin'), 'broken');
    const notes: string[] = [];
    const settings = { folder, minWeightBytes: 0, onNote: (note: string) => void notes.push(note) };
    await using mended = await openOnCpu(graph, settings, runtime);
    assert.match(notes.join(), /was changed after it was written, and is made again/);
    const results = await mended.run(inputs);
    assert.deepEqual([...floatsOf(results, 'half_out')], first['half']);
  });

  test('weights that are in float32 already need no entry', async () => {
    const folder = join(place, 'single');
    const weights = await weightsOf(join(place, 'single-weights'));
    const graph = graphOf({ ...weights, names: () => ['single'] });
    await using network = await openOnCpu(graph, { folder, minWeightBytes: 0 }, runtime);
    await network.run(inputs);
    assert.deepEqual(await readdir(folder).catch(() => []), []);
  });

  test('weights behind symbolic links are read, and the process stays in its folder', async () => {
    const blobs = join(place, 'blobs');
    await weightsOf(join(place, 'linked'));
    await mkdir(blobs);
    await rename(join(place, 'linked', 'model.safetensors'), join(blobs, 'a blob'));
    await symlink(join(blobs, 'a blob'), join(place, 'linked', 'model.safetensors'));
    const stored = await openComponentWeights({ component: 'unet', folder: join(place, 'linked'), baseName: 'model' });
    const before = process.cwd();
    await using network = await openOnCpu(graphOf(stored), undefined, runtime);
    assert.equal(process.cwd(), before);
    assert.equal(floatsOf(await network.run(inputs), 'single_out').length, 1500);
  });

  test('weights that are gone are inference_failed with their name, and the process stays in its folder', async () => {
    const folder = join(place, 'gone');
    const graph = graphOf(await weightsOf(folder));
    await rm(join(folder, 'model.safetensors'));
    const before = process.cwd();
    await assert.rejects(openOnCpu(graph, undefined, runtime), (error: Error & { code?: string }) => {
      assert.equal(error.code, 'inference_failed');
      assert.match(error.message, /model\.safetensors/);
      return true;
    });
    assert.equal(process.cwd(), before);
  });
});
