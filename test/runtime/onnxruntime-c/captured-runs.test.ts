/** Runs with inputs and outputs of their own for each shape, as CUDA records them. On the CPU nothing is recorded; everything else is the same. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, suite, test } from 'node:test';
import { type BuiltGraph, GraphBuilder } from '../../../src/onnx/graph.ts';
import type { HostTensor } from '../../../src/runtime/contract.ts';
import { DeviceMemory } from '../../../src/runtime/onnxruntime-c/device-memory.ts';
import { openEnvironment } from '../../../src/runtime/onnxruntime-c/environment.ts';
import { DeviceValue } from '../../../src/runtime/onnxruntime-c/values.ts';
import { float32, floatsOf } from '../../../src/runtime/tensors.ts';
import { LONG_INPUTS, longGraph, secondsOf } from '../long-graph.ts';
import { NO_C_API } from './no-c-api.ts';
import { openCaptured } from './open-captured.ts';
import { NO_WEIGHTS } from '../no-weights.ts';

const place = await mkdtemp(join(tmpdir(), 'text2img-c-captured-'));
after(() => rm(place, { recursive: true, force: true }));

/** `sum = a + b`, `product = a · b`. */
function arithmetic(): BuiltGraph {
  const g = new GraphBuilder(NO_WEIGHTS, 'float32');
  const [a, b] = [g.input('a', 'float32', ['n', 'm'], [1, 2]), g.input('b', 'float32', ['n', 'm'], [1, 2])];
  g.output('sum', g.node('Add', [a, b], { shape: [1, 2] }), ['n', 'm']);
  g.output('product', g.node('Mul', [a, b], { shape: [1, 2] }), ['n', 'm']);
  return g.build('arithmetic');
}

function filled(value: number, [n, m]: readonly [number, number]): HostTensor {
  return float32(new Float32Array(n * m).fill(value), [n, m]);
}

suite('runs with places of their own', { skip: NO_C_API }, () => {
  test('each run has its own numbers, whatever shapes come between', async () => {
    using opened = await openCaptured(arithmetic(), ['sum', 'product'], 4);
    for (const [value, shape] of [
      [1, [1, 2]],
      [2, [1, 2]],
      [3, [2, 3]],
      [4, [1, 2]],
      [5, [2, 3]],
      [6, [2, 3]],
      [7, [1, 2]],
    ] as const) {
      const outputs = await opened.run({ a: filled(value, shape), b: filled(10, shape) });
      assert.deepEqual(new Set(floatsOf(outputs, 'sum')), new Set([value + 10]));
      assert.deepEqual(new Set(floatsOf(outputs, 'product')), new Set([value * 10]));
      assert.deepEqual([...(outputs['sum']?.shape ?? [])], [...shape]);
    }
    assert.equal(opened.runs.count, 2);
  });

  test('no more shapes than allowed have places; one that was dropped comes back', async () => {
    using opened = await openCaptured(arithmetic(), ['sum', 'product'], 2);
    for (let round = 0; round < 3; round++)
      for (const m of [1, 2, 3, 4, 5]) {
        const outputs = await opened.run({ a: filled(m, [1, m]), b: filled(round, [1, m]) });
        assert.deepEqual(
          [...floatsOf(outputs, 'sum')],
          Array.from({ length: m }, () => m + round),
        );
        assert.ok(opened.runs.count <= 2);
      }
    assert.equal(opened.runs.count, 2);
  });

  test('an output that is kept is not overwritten by the next run of its shape, and may be its input', async () => {
    using opened = await openCaptured(arithmetic(), ['sum', 'product'], 2);
    const values: DeviceValue[] = [];
    for (const value of [1, 2, 3]) {
      const { sum } = await opened.run({ a: values.at(-1) ?? filled(0, [1, 2]), b: filled(value, [1, 2]) }, ['sum']);
      assert.ok(sum instanceof DeviceValue);
      values.push(sum);
    }
    const read = await Promise.all(values.map((value) => value.read()));
    assert.deepEqual(
      read.map(({ data }) => [...data]),
      [
        [1, 1],
        [3, 3],
        [6, 6],
      ],
    );
    for (const value of values) value[Symbol.dispose]();
  });

  test('a tensor of the device is copied once for runs of one shape that follow each other, and again after any other run', async (t) => {
    const copyInto = t.mock.method(DeviceMemory.prototype, 'copyInto');
    const copied = async (run: () => Promise<unknown>): Promise<number | undefined> => {
      copyInto.mock.resetCalls();
      await run();
      return copyInto.mock.calls[0]?.arguments[0].length;
    };
    using opened = await openCaptured(arithmetic(), ['sum', 'product'], 4);
    using there = await new DeviceMemory(await openEnvironment(), 'cpu', undefined).copy(filled(10, [1, 2]));
    const pass = async (): Promise<void> => {
      assert.deepEqual([...floatsOf(await opened.run({ a: filled(1, [1, 2]), b: there }), 'sum')], [11, 11]);
    };
    const other = (): Promise<unknown> => opened.run({ a: filled(1, [3, 3]), b: filled(2, [3, 3]) });
    const counts: (number | undefined)[] = [];
    // Not recorded, recorded, replayed; then an other run that is not recorded, one that is, and one that is replayed.
    for (const run of [pass, pass, pass, other, pass, pass, other, pass, other, pass]) counts.push(await copied(run));
    assert.deepEqual(counts, [undefined, 2, 1, undefined, 2, 1, 2, 2, 2, 2]);
  });

  test('an output that nobody reads is not copied, and is there when the next run reads it', async (t) => {
    const read = t.mock.method(DeviceMemory.prototype, 'read');
    using opened = await openCaptured(arithmetic(), ['sum', 'product'], 2);
    const inputs = { a: filled(3, [1, 2]), b: filled(4, [1, 2]) };
    for (let times = 0; times < 3; times++) {
      read.mock.resetCalls();
      const outputs = await opened.runs.run({ inputs, keep: [], unread: ['sum'] });
      assert.deepEqual([Object.keys(outputs), [...floatsOf(outputs, 'product')]], [['product'], [12, 12]]);
      // The first run is not recorded.
      assert.equal(read.mock.callCount(), times === 0 ? 0 : 1);
    }
    assert.deepEqual([...floatsOf(await opened.run(inputs), 'sum')], [7, 7]);
  });

  test('a wrong input is inference_failed, and the next run is right', async () => {
    using opened = await openCaptured(arithmetic(), ['sum', 'product'], 2);
    const inputs = { a: filled(1, [1, 2]), b: filled(2, [1, 2]) };
    for (let times = 0; times < 3; times++) {
      await assert.rejects(opened.run({ ...inputs, c: inputs.a }), { code: 'inference_failed' });
      assert.deepEqual([...floatsOf(await opened.run(inputs), 'sum')], [3, 3]);
    }
  });

  test('timers go on beside such a run, and a cancel ends it in its midst', async () => {
    using opened = await openCaptured(await longGraph(join(place, 'long')), ['y'], 2);
    const expected = await opened.run(LONG_INPUTS);
    let ticks = 0;
    const ticking = setInterval(() => ticks++, 5);
    const whole = await secondsOf(async () => assert.deepEqual(await opened.run(LONG_INPUTS), expected));
    clearInterval(ticking);
    assert.ok(ticks >= 20, `${ticks} ticks in ${whole} s`);
    const controller = new AbortController();
    const cancelled = await secondsOf(async () => {
      const run = opened.run(LONG_INPUTS, [], controller.signal);
      setTimeout(() => controller.abort(), (whole * 1000) / 20);
      await assert.rejects(run, { code: 'cancelled' });
    });
    assert.ok(cancelled < whole / 2, `cancelled after ${cancelled} s of ${whole}`);
    assert.equal(opened.runs.count, 0, 'what the ended run left is not used again');
    assert.deepEqual(await opened.run(LONG_INPUTS), expected);
  });

  test('the memory of a device copies every type and rank there and back', async () => {
    const memory = new DeviceMemory(await openEnvironment(), 'cpu', undefined);
    for (const tensor of [
      float32(Float32Array.of(1, -2, 3), [3]),
      float32(Float32Array.of(5), []),
      { type: 'float16', shape: [1, 2], data: Float16Array.of(0.5, -1) },
      { type: 'int64', shape: [1, 1, 2], data: BigInt64Array.of(-1n, 2n ** 62n) },
      { type: 'int32', shape: [2], data: Int32Array.of(7, -7) },
      { type: 'uint8', shape: [2, 0], data: new Uint8Array() },
    ] as const satisfies readonly HostTensor[]) {
      using there = await memory.copy(tensor);
      using again = await memory.copy(there);
      assert.deepEqual({ ...(await again.read()) }, { ...tensor });
    }
  });
});
