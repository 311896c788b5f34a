/** Measurements of runs are kept for the next process, and a file that is no help costs nothing. */
import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { keptMeasurements } from '../../../src/engine/child/kept-measurements.ts';
import { type ComputeType, GraphBuilder } from '../../../src/onnx/graph.ts';

const place = await mkdtemp(join(tmpdir(), 'text2img-measurements-'));
after(() => rm(place, { recursive: true, force: true }));

function graphOf(size: number, computeType: ComputeType = 'float32'): ReturnType<GraphBuilder['build']> {
  const weights = {
    component: 'unet',
    names: () => [].values(),
    has: () => false,
    place: () => assert.fail('there are no weights'),
    smallTensor: () => undefined,
  };
  const g = new GraphBuilder(weights, computeType);
  g.output('y', g.node('Relu', [g.input('x', 'float32', [size], [size])], { shape: [size] }), [size]);
  return g.build('relu');
}

const MEASURED = [{ livingBytes: 100, takenBytes: 120 }];

async function until(isSo: () => Promise<boolean>): Promise<void> {
  while (!(await isSo())) await new Promise((resolve) => setTimeout(resolve, 5));
}

test('another process reads what one kept, for the same graph, compute type, device and runtime only', async () => {
  const folder = join(place, 'made', 'by', 'keep');
  const first = keptMeasurements(folder, graphOf(3), 'onnxruntime cpu');
  assert.deepEqual(first.known, []);
  first.keep(MEASURED);
  await until(async () => keptMeasurements(folder, graphOf(3), 'onnxruntime cpu').known.length > 0);
  assert.deepEqual(keptMeasurements(folder, graphOf(3), 'onnxruntime cpu').known, MEASURED);
  assert.deepEqual(keptMeasurements(folder, graphOf(4), 'onnxruntime cpu').known, []);
  assert.deepEqual(keptMeasurements(folder, graphOf(3), 'openvino cpu').known, []);
  // Its bytes are the same.
  assert.deepEqual(graphOf(3, 'bfloat16').model, graphOf(3).model);
  assert.deepEqual(keptMeasurements(folder, graphOf(3, 'bfloat16'), 'onnxruntime cpu').known, []);
});

test('a damaged file, a huge one and a folder that cannot be written are no error', async () => {
  const folder = join(place, 'damaged');
  keptMeasurements(folder, graphOf(3), 'a').keep(MEASURED);
  await until(async () => (await readdir(folder).catch(() => [])).some((name) => name.endsWith('.json')));
  const [name = ''] = (await readdir(folder)).filter((file) => file.endsWith('.json'));
  for (const text of [
    '',
    '{',
    '[{"livingBytes":-1,"takenBytes":5}]',
    '[{"livingBytes":1}]',
    `[${' '.repeat(20_000)}]`,
  ]) {
    await writeFile(join(folder, name), text);
    assert.deepEqual(keptMeasurements(folder, graphOf(3), 'a').known, [], text.slice(0, 40));
  }
  keptMeasurements('/proc/none', graphOf(3), 'a').keep(MEASURED);
  await new Promise((resolve) => setTimeout(resolve, 20));
});
