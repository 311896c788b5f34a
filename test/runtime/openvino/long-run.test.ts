/** A long run in OpenVINO: the event loop goes on beside it, and a cancel ends it in its midst. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, suite, test } from 'node:test';
import { Text2ImgError } from '../../../src/errors/text2img-error.ts';
import { openvinoIn } from '../../../src/runtime/registry.ts';
import { LONG_INPUTS, longGraph, secondsOf } from '../long-graph.ts';
import { openOnCpu } from '../open-on-cpu.ts';
import { LIBRARY_FOLDER, NO_OPENVINO } from './installed-libraries.ts';

const place = await mkdtemp(join(tmpdir(), 'text2img-openvino-long-'));
after(() => rm(place, { recursive: true, force: true }));

suite('a long run in OpenVINO', { skip: NO_OPENVINO }, () => {
  test('timers run beside it, and a cancel ends it long before its end; the network goes on', async () => {
    await using network = await openOnCpu(
      await longGraph(join(place, 'weights')),
      undefined,
      openvinoIn(LIBRARY_FOLDER),
    );
    const first = await network.run(LONG_INPUTS);
    let ticks = 0;
    const ticking = setInterval(() => ticks++, 5);
    const whole = await secondsOf(() => network.run(LONG_INPUTS));
    clearInterval(ticking);
    // The Node binding of ONNX Runtime gives none.
    assert.ok(ticks >= 20, `${ticks} ticks in ${whole} s`);
    const controller = new AbortController();
    const cancelled = await secondsOf(async () => {
      const run = network.run(LONG_INPUTS, { signal: controller.signal });
      setTimeout(() => controller.abort(), (whole * 1000) / 20);
      await assert.rejects(run, (error) => error instanceof Text2ImgError && error.code === 'cancelled');
    });
    assert.ok(cancelled < whole / 2, `cancelled after ${cancelled} s of ${whole}`);
    assert.deepEqual(await network.run(LONG_INPUTS), first);
  });
});
