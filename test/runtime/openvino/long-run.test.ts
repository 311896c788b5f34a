/** A long run in OpenVINO: the event loop goes on beside it, and a cancel ends it in its midst. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, suite, test } from 'node:test';
import { openComponentWeights } from '../../../src/checkpoint/component-weights.ts';
import { Text2ImgError } from '../../../src/errors/text2img-error.ts';
import { GraphBuilder } from '../../../src/onnx/graph.ts';
import { openvinoIn } from '../../../src/runtime/registry.ts';
import { float32 } from '../../../src/runtime/tensors.ts';
import { writeTensors } from '../../checkpoint/checkpoint-copies.ts';
import { openOnCpu } from '../open-on-cpu.ts';
import { LIBRARY_FOLDER, NO_OPENVINO } from './installed-libraries.ts';

const place = await mkdtemp(join(tmpdir(), 'text2img-openvino-long-'));
after(() => rm(place, { recursive: true, force: true }));

const SIDE = 512;
const PRODUCTS = 200;
const inputs = { x: float32(new Float32Array(SIDE * SIDE).fill(1 / SIDE), [SIDE, SIDE]) };

/** Products one after the other: 200 × 0.27 GFLOP. */
async function longGraph() {
  await mkdir(join(place, 'weights'), { recursive: true });
  const data = Buffer.from(new Float32Array(SIDE * SIDE).fill(1 / SIDE).buffer);
  writeTensors(
    join(place, 'weights', 'model.safetensors'),
    new Map([['w', { dtype: 'F32', shape: [SIDE, SIDE], data }]]),
  );
  const weights = await openComponentWeights({ component: 'unet', folder: join(place, 'weights'), baseName: 'model' });
  const g = new GraphBuilder(weights, 'float32');
  let x = g.input('x', 'float32', [SIDE, SIDE], [SIDE, SIDE]);
  for (let k = 0; k < PRODUCTS; k++) x = g.node('MatMul', [x, g.weight('w', [SIDE, SIDE])], { shape: [SIDE, SIDE] });
  g.output('y', x, [SIDE, SIDE]);
  return g.build('many products');
}

async function secondsOf(action: () => Promise<unknown>): Promise<number> {
  const startMs = performance.now();
  await action();
  return (performance.now() - startMs) / 1000;
}

suite('a long run in OpenVINO', { skip: NO_OPENVINO }, () => {
  test('timers run beside it, and a cancel ends it long before its end; the network goes on', async () => {
    await using network = await openOnCpu(await longGraph(), undefined, openvinoIn(LIBRARY_FOLDER));
    const first = await network.run(inputs);
    let ticks = 0;
    const ticking = setInterval(() => ticks++, 5);
    const whole = await secondsOf(() => network.run(inputs));
    clearInterval(ticking);
    // The Node binding of ONNX Runtime gives none.
    assert.ok(ticks >= 20, `${ticks} ticks in ${whole} s`);
    const controller = new AbortController();
    const cancelled = await secondsOf(async () => {
      const run = network.run(inputs, { signal: controller.signal });
      setTimeout(() => controller.abort(), (whole * 1000) / 20);
      await assert.rejects(run, (error) => error instanceof Text2ImgError && error.code === 'cancelled');
    });
    assert.ok(cancelled < whole / 2, `cancelled after ${cancelled} s of ${whole}`);
    assert.deepEqual(await network.run(inputs), first);
  });
});
