/** `doctor` prints what was measured for the model: the choice of `auto`, the figures, and the factor of bfloat16. */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { buildGraph } from '../../src/pipelines/prove-fit.ts';
import type { WeightType } from '../../src/onnx/weight-type.ts';
import { type MeasuredTimes, measurementPath } from '../../src/runtime/runtime-measurements.ts';
import { openKnown } from '../checkpoint/open-known.ts';
import { NO_OPENVINO } from '../runtime/openvino/installed-libraries.ts';
import { root, runCli, temporaryFolder } from './run-cli.ts';

const demo = join(root, 'models', 'demo');

const TIMES: MeasuredTimes = {
  width: 256,
  height: 256,
  onnxruntime_ms: 4030,
  openvino_ms: 3500,
  openvino_bfloat16_ms: 2000,
  measured_at: '2026-11-26T04:00:00.000Z',
};

/** A compile cache in which the demo was measured. */
async function cacheWith(times: MeasuredTimes, weightType: WeightType = 'float'): Promise<string> {
  const folder = join(temporaryFolder(), 'cache');
  mkdirSync(folder);
  const graph = buildGraph(await openKnown(demo), 'unet', { computeType: 'float32', weightType });
  writeFileSync(measurementPath(folder, graph, 0), JSON.stringify({ made_by: 'text2img', tries: 1, times }));
  return folder;
}

async function openvinoLine(compileCache: string, more: readonly string[] = []): Promise<string> {
  const environment = { TEXT2IMG_COMPILE_CACHE: compileCache, TEXT2IMG_DATA_DIR: join(temporaryFolder(), 'data') };
  const { stdout, stderr } = await runCli({ args: ['doctor', '--model', demo, ...more], environment });
  return /^. openvino +(.*)$/m.exec(stdout)?.[1] ?? assert.fail(`${stdout}${stderr}`);
}

suite('doctor about OpenVINO', { skip: NO_OPENVINO }, () => {
  test('measured figures are printed with the runtime that auto takes and the factor of bfloat16', async () => {
    assert.match(
      await openvinoLine(await cacheWith(TIMES)),
      /^works in float32.*; auto takes OpenVINO: a pass at 256×256 takes 4030 ms on ONNX Runtime, 3500 ms on OpenVINO, 2000 ms there in bfloat16; --dtype bfloat16 is 1\.75 times as fast, and changes the images a little$/,
    );
  });

  test('the factor is that of the faster runtime, and one below 1.1 is no advice', async () => {
    const slow = await openvinoLine(await cacheWith({ ...TIMES, openvino_ms: 9000 }));
    assert.match(slow, /auto takes ONNX Runtime: .*; --dtype bfloat16 is 2\.0[12] times as fast/);
    const { openvino_bfloat16_ms: _, ...without } = TIMES;
    for (const times of [without, { ...TIMES, openvino_bfloat16_ms: 3400 }])
      assert.doesNotMatch(await openvinoLine(await cacheWith(times)), /--dtype bfloat16/);
  });

  test('figures of 8-bit weights are printed with --weights int8 only', async () => {
    const cache = await cacheWith({ ...TIMES, onnxruntime_ms: 3000 }, 'int8');
    assert.match(await openvinoLine(cache), /not measured for this model yet/);
    assert.match(
      await openvinoLine(cache, ['--weights', 'int8']),
      /auto takes ONNX Runtime: .*3000 ms on ONNX Runtime/,
    );
  });
});
