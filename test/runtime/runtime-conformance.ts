/**
 * What every runtime must keep of the contract. A second runtime runs the same suite: `runtimeConformance(ITS_RUNTIME, 'cpu')` in a test of its own.
 */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { Text2ImgError } from '../../src/errors/text2img-error.ts';
import { GraphBuilder } from '../../src/onnx/graph.ts';
import type { BuiltGraph } from '../../src/onnx/graph.ts';
import { ELEMENT_TYPES, encodeModel } from '../../src/onnx/onnx-schema.ts';
import type { ElementType, HostTensor, Network, OpenOptions, Runtime } from '../../src/runtime/contract.ts';
import { float32, floatsOf, isOnDevice } from '../../src/runtime/tensors.ts';
import { NO_WEIGHTS } from './no-weights.ts';

/** `sum = a + b`, `product = a · b`. */
function arithmetic(): BuiltGraph {
  const g = new GraphBuilder(NO_WEIGHTS, 'float32');
  const [a, b] = [g.input('a', 'float32', ['n'], [2]), g.input('b', 'float32', ['n'], [2])];
  g.output('sum', g.node('Add', [a, b], { shape: [2] }), ['n']);
  g.output('product', g.node('Mul', [a, b], { shape: [2] }), ['n']);
  return g.build('arithmetic');
}

/** `y = x`, of any element type. */
function identity(type: ElementType): BuiltGraph {
  const dim = [{ dimParam: 'n' }, { dimParam: 'm' }];
  const info = (name: string): object => ({
    name,
    type: { tensorType: { elemType: ELEMENT_TYPES[type], shape: { dim } } },
  });
  const model = encodeModel({
    irVersion: 9,
    producerName: 'text2img',
    opsetImport: [{ domain: '', version: 20 }],
    graph: {
      name: 'identity',
      node: [{ name: 'y', opType: 'Identity', domain: '', input: ['x'], output: ['y'], attribute: [] }],
      initializer: [],
      input: [info('x') as never],
      output: [info('y') as never],
    },
  });
  return {
    model,
    computeType: 'float32',
    weightsFolder: '',
    weightFiles: [],
    weightBytes: 0,
    largestInlineBytes: 0,
    activationBytes: 0,
    flops: 0,
  };
}

const TENSORS: readonly HostTensor[] = [
  { type: 'float32', shape: [2, 2], data: Float32Array.of(-1.5, 0, 3.4e38, 1e-30) },
  { type: 'float16', shape: [2, 2], data: Float16Array.of(-1.5, 0, 65504, 2 ** -24) },
  { type: 'int32', shape: [2, 2], data: Int32Array.of(-(2 ** 31), 0, 7, 2 ** 31 - 1) },
  { type: 'int64', shape: [2, 2], data: BigInt64Array.of(-(2n ** 63n), 0n, 7n, 2n ** 63n - 1n) },
  { type: 'uint8', shape: [2, 2], data: Uint8Array.of(0, 1, 128, 255) },
  { type: 'float32', shape: [1, 0], data: new Float32Array() },
];

/** The same tensor with the largest whole numbers of so many bits. */
function within(bits: 32 | 64, tensor: HostTensor): HostTensor {
  if (tensor.type !== 'int64' || bits === 64) return tensor;
  return { ...tensor, data: BigInt64Array.of(-(2n ** 31n), 0n, 7n, 2n ** 31n - 1n) };
}

const [A, B] = [float32(Float32Array.of(2, 3), [2]), float32(Float32Array.of(10, 20), [2])];

interface Limits {
  /** Whole numbers with more bits are refused. */
  readonly wholeNumberBits?: 32 | 64;
}

/** @param device one on which the runtime can run here */
export function runtimeConformance(runtime: Runtime, device: string, { wholeNumberBits = 64 }: Limits = {}): void {
  const open = (graph: BuiltGraph, changes: Partial<OpenOptions> = {}): Promise<Network> =>
    runtime.open(graph, { device, computeType: 'float32', threads: 1, use: 'once', ...changes });
  const refusedAs =
    (code: string) =>
    (error: unknown): boolean =>
      error instanceof Text2ImgError && error.code === code;

  suite(`the contract of a runtime: ${runtime.name} on ${device}`, () => {
    test('its report has the device, its kind, and float32', async () => {
      const reports = await runtime.devices({ only: device });
      assert.equal(reports.length, 1);
      assert.equal(reports[0]?.device, device);
      assert.equal(reports[0].problem, undefined);
      assert.ok(reports[0].computeTypes.includes('float32'));
      assert.ok((await runtime.devices()).some((report) => report.device === device));
    });

    test('a device that cannot be used is reported with a problem', async () => {
      const reports = await runtime.devices();
      for (const { computeTypes, problem } of reports)
        assert.equal(computeTypes.length === 0 && problem === undefined, false);
    });

    test('outputs come back by name, for each use and number of threads', async () => {
      for (const use of ['every-step', 'once'] as const)
        for (const threads of [0, 1, 2]) {
          await using network = await open(arithmetic(), { use, threads });
          const outputs = await network.run({ a: A, b: B });
          assert.deepEqual(Object.keys(outputs).toSorted(), ['product', 'sum']);
          assert.deepEqual([...floatsOf(outputs, 'sum')], [12, 23]);
          assert.deepEqual([...floatsOf(outputs, 'product')], [20, 60]);
        }
    });

    for (const tensor of TENSORS.map((tensor) => within(wholeNumberBits, tensor)))
      test(`${tensor.type} of the shape ${JSON.stringify(tensor.shape)} goes in and comes out bit for bit`, async () => {
        await using network = await open(identity(tensor.type));
        const { y } = await network.run({ x: tensor });
        assert.deepEqual({ ...y, shape: [...(y?.shape ?? [])] }, tensor);
      });

    if (wholeNumberBits === 32)
      test('a whole number that it cannot hold is inference_failed, never another number', async () => {
        await using network = await open(identity('int64'));
        for (const number of [2n ** 31n, -(2n ** 31n) - 1n, 2n ** 63n - 1n])
          await assert.rejects(
            network.run({ x: { type: 'int64', shape: [1, 1], data: BigInt64Array.of(number) } }),
            refusedAs('inference_failed'),
          );
      });

    test('one graph runs at other sizes, and a run never changes its inputs', async () => {
      await using network = await open(arithmetic());
      const wide = float32(Float32Array.of(1, 2, 3, 4), [4]);
      const outputs = await network.run({ a: wide, b: wide });
      assert.deepEqual([...floatsOf(outputs, 'sum')], [2, 4, 6, 8]);
      assert.deepEqual([...wide.data], [1, 2, 3, 4]);
    });

    test('runs that are asked for at once end in their order, each with its own result', async () => {
      await using network = await open(arithmetic());
      const ended: number[] = [];
      const runs = [1, 2, 3, 4].map(async (value) => {
        const outputs = await network.run({
          a: float32(Float32Array.of(value), [1]),
          b: float32(Float32Array.of(1), [1]),
        });
        ended.push(value);
        return floatsOf(outputs, 'sum')[0];
      });
      assert.deepEqual(await Promise.all(runs), [2, 3, 4, 5]);
      assert.deepEqual(ended, [1, 2, 3, 4]);
    });

    test('an output that is kept can be read, and be the next run’s input', async () => {
      await using network = await open(arithmetic());
      const { sum, product } = await network.run({ a: A, b: B }, { keep: ['sum'] });
      assert.ok(sum !== undefined && isOnDevice(sum));
      assert.ok(product !== undefined && !isOnDevice(product));
      assert.deepEqual([sum.type, [...sum.shape]], ['float32', [2]]);
      assert.deepEqual([...(await sum.read()).data], [12, 23]);
      const next = await network.run({ a: sum, b: B });
      assert.deepEqual([...floatsOf(next, 'sum')], [22, 43]);
      sum[Symbol.dispose]();
    });

    test('an output that nobody reads changes no other one, of this run or of the next', async () => {
      await using network = await open(arithmetic());
      for (let round = 0; round < 3; round++) {
        const outputs = await network.run({ a: A, b: B }, { unread: ['product', 'nothing'] });
        assert.deepEqual([...floatsOf(outputs, 'sum')], [12, 23]);
        const all = await network.run({ a: A, b: B });
        assert.deepEqual([...floatsOf(all, 'sum'), ...floatsOf(all, 'product')], [12, 23, 20, 60]);
      }
    });

    test('an output that is kept outlives its network’s rest and end, and is another network’s input', async () => {
      await using other = await open(arithmetic());
      const network = await open(arithmetic());
      const { sum: first = assert.fail() } = await network.run({ a: A, b: B }, { keep: ['sum'] });
      await network.rest();
      const { sum: second = assert.fail() } = await network.run({ a: first, b: B }, { keep: ['sum'] });
      await network[Symbol.asyncDispose]();
      assert.deepEqual([...floatsOf(await other.run({ a: first, b: second }), 'sum')], [34, 66]);
      for (const tensor of [first, second]) {
        assert.ok(isOnDevice(tensor));
        tensor[Symbol.dispose]();
      }
    });

    test('an uploaded tensor is an input like any other, until it is disposed', async () => {
      await using network = await open(arithmetic());
      const uploaded = await runtime.upload(A, device);
      assert.deepEqual({ ...(await uploaded.read()) }, { ...A });
      assert.deepEqual([...floatsOf(await network.run({ a: uploaded, b: B }), 'sum')], [12, 23]);
      uploaded[Symbol.dispose]();
      uploaded[Symbol.dispose]();
      await assert.rejects(uploaded.read(), refusedAs('internal'));
      await assert.rejects(network.run({ a: uploaded, b: B }), refusedAs('internal'));
      assert.deepEqual([...floatsOf(await network.run({ a: A, b: B }), 'sum')], [12, 23], 'the network goes on');
    });

    test('an output to keep that the network does not have is refused', async () => {
      await using network = await open(arithmetic());
      await assert.rejects(network.run({ a: A, b: B }, { keep: ['toString'] }), refusedAs('internal'));
    });

    test('a run whose signal is aborted before or meanwhile ends with cancelled, and the network goes on', async () => {
      await using network = await open(arithmetic());
      await assert.rejects(network.run({ a: A, b: B }, { signal: AbortSignal.abort() }), refusedAs('cancelled'));
      const controller = new AbortController();
      const run = network.run({ a: A, b: B }, { signal: controller.signal });
      controller.abort();
      await assert.rejects(run, refusedAs('cancelled'));
      assert.deepEqual([...floatsOf(await network.run({ a: A, b: B }), 'sum')], [12, 23]);
    });

    test('after a rest the next run gives the same; to rest twice or below a run is harmless', async () => {
      await using network = await open(arithmetic());
      const first = network.run({ a: A, b: B });
      await Promise.all([first, network.rest(), network.rest()]);
      assert.deepEqual([...floatsOf(await network.run({ a: A, b: B }), 'sum')], [12, 23]);
      assert.deepEqual([...floatsOf(await first, 'sum')], [12, 23]);
    });

    test('a wrong input is inference_failed, and the network goes on', async () => {
      await using network = await open(arithmetic());
      await assert.rejects(network.run({ a: A }), refusedAs('inference_failed'));
      await assert.rejects(
        network.run({ a: A, b: { type: 'int32', data: Int32Array.of(1, 2), shape: [2] } }),
        refusedAs('inference_failed'),
      );
      assert.deepEqual([...floatsOf(await network.run({ a: A, b: B }), 'sum')], [12, 23]);
    });

    test('closing twice is harmless; what is closed neither runs nor wakes up', async () => {
      const network = await open(arithmetic());
      await network[Symbol.asyncDispose]();
      await network[Symbol.asyncDispose]();
      await network.rest();
      await assert.rejects(network.run({ a: A, b: B }), refusedAs('internal'));
    });

    test('bytes that are no graph are inference_failed; an unknown device is device_unavailable', async () => {
      const broken = { ...arithmetic(), model: new TextEncoder().encode('no graph') };
      await assert.rejects(open(broken), refusedAs('inference_failed'));
      for (const unknown of ['', 'toString', 'cuda', 'cpu:1'])
        await assert.rejects(open(arithmetic(), { device: unknown }), refusedAs('device_unavailable'));
    });
  });
}
