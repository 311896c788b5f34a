/** Tensors that ONNX Runtime holds, and objects that were released: what is gone is never used, and what is kept stays. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { type BuiltGraph, GraphBuilder } from '../../../src/onnx/graph.ts';
import type { Network } from '../../../src/runtime/contract.ts';
import { OwnedHandle } from '../../../src/runtime/onnxruntime-c/handle.ts';
import { DeviceValue } from '../../../src/runtime/onnxruntime-c/values.ts';
import { DEFAULT_RUNTIME, ONNX_RUNTIME_C } from '../../../src/runtime/registry.ts';
import { float32, floatsOf, isOnDevice } from '../../../src/runtime/tensors.ts';
import { openOnCpu } from '../open-on-cpu.ts';
import { NO_C_API } from './no-c-api.ts';
import { NO_WEIGHTS } from '../no-weights.ts';

/** `y = x + x`, `z = x · x`. */
function graph(): BuiltGraph {
  const g = new GraphBuilder(NO_WEIGHTS, 'float32');
  const x = g.input('x', 'float32', ['n'], [2]);
  g.output('y', g.node('Add', [x, x], { shape: [2] }), ['n']);
  g.output('z', g.node('Mul', [x, x], { shape: [2] }), ['n']);
  return g.build('double');
}

const X = float32(Float32Array.of(1, 2, 3), [3]);

async function kept(network: Network, name: string): Promise<DeviceValue> {
  const value = (await network.run({ x: X }, { keep: [name] }))[name];
  assert.ok(value instanceof DeviceValue);
  return value;
}

test('an object is released once, and its address is not given out afterwards', () => {
  const released: bigint[] = [];
  const handle = new OwnedHandle(7n, (address) => released.push(address));
  assert.equal(handle.address, 7n);
  handle[Symbol.dispose]();
  handle[Symbol.dispose]();
  assert.deepEqual(released, [7n]);
  assert.throws(() => handle.address, { code: 'internal' });
});

test('an object that a run holds is released after the run; nobody can hold it anew', () => {
  const released: bigint[] = [];
  const handle = new OwnedHandle(7n, (address) => released.push(address));
  const [first, second] = [handle.hold(), handle.hold()];
  handle[Symbol.dispose]();
  assert.throws(() => handle.hold(), { code: 'internal' });
  first[Symbol.dispose]();
  first[Symbol.dispose]();
  assert.deepEqual(released, []);
  second[Symbol.dispose]();
  assert.deepEqual(released, [7n]);
});

suite('tensors that ONNX Runtime holds', { skip: NO_C_API }, () => {
  test('a kept output goes from step to step, and no later run changes it', async () => {
    await using network = await openOnCpu(graph(), undefined, ONNX_RUNTIME_C);
    let value = await kept(network, 'y');
    const first = value;
    for (let step = 0; step < 3; step++) {
      const next = (await network.run({ x: value }, { keep: ['y'] }))['y'];
      assert.ok(next instanceof DeviceValue);
      if (value !== first) value[Symbol.dispose]();
      value = next;
    }
    assert.deepEqual([...(await value.read()).data], [16, 32, 48]);
    assert.deepEqual([...(await first.read()).data], [2, 4, 6]);
    for (const tensor of [first, value]) tensor[Symbol.dispose]();
  });

  test('an output that nobody reads does not come to the host', async () => {
    await using network = await openOnCpu(graph(), undefined, ONNX_RUNTIME_C);
    assert.deepEqual(Object.keys(await network.run({ x: X }, { unread: ['y'] })), ['z']);
    const outputs = await network.run({ x: X }, { keep: ['z'], unread: ['y'] });
    assert.deepEqual(Object.keys(outputs), ['z']);
    assert.ok(outputs['z'] instanceof DeviceValue);
    assert.deepEqual((await outputs['z'].read()).data, Float32Array.of(1, 4, 9));
    outputs['z'][Symbol.dispose]();
  });

  test('a kept output outlives its network; what was read stays when it is disposed', async () => {
    const network = await openOnCpu(graph(), undefined, ONNX_RUNTIME_C);
    const value = await kept(network, 'z');
    await network[Symbol.asyncDispose]();
    const read = await value.read();
    value[Symbol.dispose]();
    assert.deepEqual([...read.data], [1, 4, 9]);
  });

  test('a tensor that is disposed while a run reads it is freed after the run', async () => {
    await using network = await openOnCpu(graph(), undefined, ONNX_RUNTIME_C);
    const value = await kept(network, 'y');
    const earlier = network.run({ x: X });
    const run = network.run({ x: value });
    await earlier;
    // The second run may have begun or not.
    value[Symbol.dispose]();
    const outcome = await run.then(
      (outputs) => [...floatsOf(outputs, 'y')],
      (error: { code: string }) => error.code,
    );
    assert.ok(outcome === 'internal' || assert.deepEqual(outcome, [4, 8, 12]) === undefined);
  });

  test('a tensor of another runtime is read and handed on', async () => {
    await using binding = await openOnCpu(graph(), undefined, DEFAULT_RUNTIME);
    await using network = await openOnCpu(graph(), undefined, ONNX_RUNTIME_C);
    const foreign = (await binding.run({ x: X }, { keep: ['y'] }))['y'];
    assert.ok(foreign !== undefined && isOnDevice(foreign));
    assert.deepEqual([...floatsOf(await network.run({ x: foreign }), 'y')], [4, 8, 12]);
    const own = await kept(network, 'y');
    assert.deepEqual([...floatsOf(await binding.run({ x: own }), 'y')], [4, 8, 12]);
    own[Symbol.dispose]();
  });
});
