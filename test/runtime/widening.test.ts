/** Weights of a file in another type than a graph computes in: the compile cache writes them in float32 before it compiles, and no number changes. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { openComponentWeights } from '../../src/checkpoint/component-weights.ts';
import { placeInOneFile } from '../../src/onnx/widening.ts';
import { writeWidened } from '../../src/runtime/write-widened.ts';
import { float32, floatsOf } from '../../src/runtime/tensors.ts';
import { type StoredTensor, writeTensors } from '../checkpoint/checkpoint-copies.ts';
import { NO_PEAKS, peakOfOpening } from './memory-of-opening.ts';
import { openOnCpu } from './open-on-cpu.ts';
import { graphOf, STORED, weightsOf } from './stored-types.ts';

const place = await mkdtemp(join(tmpdir(), 'text2img-widening-'));
after(() => rm(place, { recursive: true, force: true }));

test('every number of every type is the one that ONNX Runtime makes of it, scales included', async () => {
  const graph = graphOf(await weightsOf(join(place, 'types')));
  const inputs = { one: float32(Float32Array.of(1), [1]) };
  await using plain = await openOnCpu(graph);
  await using widened = await openOnCpu(graph, { folder: join(place, 'cache'), minWeightBytes: 0 });
  const [expected, results] = [await plain.run(inputs), await widened.run(inputs)];
  for (const name of Object.keys(STORED))
    assert.deepEqual([...floatsOf(results, `${name}_out`)], [...floatsOf(expected, `${name}_out`)], name);
  assert.equal(
    graph.weightBytes,
    Object.values(STORED).reduce((sum, { shape }) => sum + 4 * shape.reduce((a, b) => a * b), 0),
  );
});

test('the file is the same however small the pieces are that it is written in', async () => {
  const { widening } = graphOf(await weightsOf(join(place, 'pieces')));
  assert.ok(widening !== undefined);
  const files = [];
  for (const pieceBytes of [undefined, 1000, 4096]) {
    const file = join(place, `pieces-${pieceBytes}.bin`);
    await writeWidened(widening, file, pieceBytes);
    files.push(await readFile(file));
  }
  for (const file of files) assert.ok(file.equals(files[0] as Buffer));
});

test('a disk that takes only a part of a piece is full, and no zeros stand for the rest', async (t) => {
  const folder = join(place, 'small-disk');
  await mkdir(folder);
  const page = 4096;
  const plan = placeInOneFile([{ place: (await weightsOf(join(place, 'part'))).place('half') }]);
  const mount = ['-t', 'tmpfs', '-o', `size=${plan.bytes - 4 * page}`, 'tmpfs', folder];
  if (spawnSync('mount', mount).status !== 0)
    return t.skip('NOT RUN: a file on a full disk, because no tmpfs can be mounted here (needs root on Linux)');
  t.after(() => void spawnSync('umount', [folder]));
  await assert.rejects(writeWidened(plan, join(folder, 'widened.bin')), { code: 'ENOSPC' });
});

test('the cache keeps the compiled graph only', async () => {
  const folder = join(place, 'only');
  await (await openOnCpu(graphOf(await weightsOf(join(place, 'kept'))), { folder, minWeightBytes: 0 }))[
    Symbol.asyncDispose
  ]();
  const [entry] = (await readdir(folder)).filter((name) => /^[0-9a-f]{32}$/.test(name));
  assert.deepEqual((await readdir(join(folder, entry as string))).toSorted(), [
    'model.onnx',
    'model.onnx.data',
    'text2img-cache-entry.json',
  ]);
  assert.deepEqual(
    (await readdir(folder)).filter((name) => name.startsWith('draft-')),
    [],
  );
});

test('a graph whose weights have its own type is used as it is', async () => {
  const folder = join(place, 'own-type');
  await mkdir(folder);
  writeTensors(join(folder, 'model.safetensors'), new Map([['single', STORED['single'] as StoredTensor]]));
  const weights = await openComponentWeights({ component: 'unet', folder, baseName: 'model' });
  assert.equal(graphOf(weights).widening, undefined);
});

test('opening weights of float16 for the first time takes as much memory as those of float32', {
  skip: NO_PEAKS,
}, async () => {
  const peaks: Record<string, number> = {};
  for (const dtype of ['F32', 'F16', 'BF16'])
    peaks[dtype] = await peakOfOpening({ folder: join(place, `many-${dtype}`), dtype });
  // Measured: 0.43 to 0.46 for all three; converted in memory, 1.41 for float16 and 1.28 for bfloat16.
  for (const [dtype, peak] of Object.entries(peaks)) assert.ok(peak < 0.9, `${dtype}: ${JSON.stringify(peaks)}`);
});
