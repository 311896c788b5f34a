/** A long run through the C API: the event loop goes on beside it, a cancel ends it in its midst, and two networks run at the same time. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, suite, test } from 'node:test';
import { Text2ImgError } from '../../../src/errors/text2img-error.ts';
import { DEFAULT_RUNTIME, ONNX_RUNTIME_C } from '../../../src/runtime/registry.ts';
import { LONG_INPUTS, longGraph, secondsOf } from '../long-graph.ts';
import { openOnCpu } from '../open-on-cpu.ts';
import { NO_C_API } from './no-c-api.ts';

const place = await mkdtemp(join(tmpdir(), 'text2img-c-long-'));
after(() => rm(place, { recursive: true, force: true }));

suite('a long run through the C API', { skip: NO_C_API }, () => {
  test('timers run beside it, and a cancel ends it long before its end; the network goes on', async () => {
    await using network = await openOnCpu(await longGraph(join(place, 'one')), undefined, ONNX_RUNTIME_C);
    const first = await network.run(LONG_INPUTS);
    let ticks = 0;
    const ticking = setInterval(() => ticks++, 5);
    const whole = await secondsOf(() => network.run(LONG_INPUTS));
    clearInterval(ticking);
    // The Node binding gives none.
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

  test('two networks run at the same time, each with its own result; a cancel ends one of them only', async () => {
    const graph = await longGraph(join(place, 'two'));
    await using one = await openOnCpu(graph, undefined, ONNX_RUNTIME_C);
    await using two = await openOnCpu(graph, undefined, ONNX_RUNTIME_C);
    const expected = await one.run(LONG_INPUTS);
    assert.deepEqual(await Promise.all([one.run(LONG_INPUTS), two.run(LONG_INPUTS)]), [expected, expected]);
    const controller = new AbortController();
    const runs = [one.run(LONG_INPUTS, { signal: controller.signal }), two.run(LONG_INPUTS)] as const;
    setTimeout(() => controller.abort(), 10);
    await assert.rejects(runs[0], { code: 'cancelled' });
    assert.deepEqual(await runs[1], expected);
  });

  test('both ways to the library work in one process, in either order and at the same time', async () => {
    const graph = await longGraph(join(place, 'both'));
    {
      await using c = await openOnCpu(graph, undefined, ONNX_RUNTIME_C);
      await using binding = await openOnCpu(graph, undefined, DEFAULT_RUNTIME);
      const expected = await binding.run(LONG_INPUTS);
      const running = c.run(LONG_INPUTS);
      assert.deepEqual([await binding.run(LONG_INPUTS), await running], [expected, expected]);
    }
    // One of them goes; the other one's environment stays.
    await using c = await openOnCpu(graph, undefined, ONNX_RUNTIME_C);
    {
      await using _binding = await openOnCpu(graph, undefined, DEFAULT_RUNTIME);
    }
    await using again = await openOnCpu(graph, undefined, DEFAULT_RUNTIME);
    assert.deepEqual(await c.run(LONG_INPUTS), await again.run(LONG_INPUTS));
    const { sharedObjects } = process.report.getReport() as unknown as { sharedObjects: readonly string[] };
    const libraries = sharedObjects.filter((path) => /libonnxruntime\.so/.test(path));
    assert.equal(libraries.length, 1, libraries.join());
  });
});
