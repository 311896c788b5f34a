/** The same library computes: every golden image has the same bytes through the binding and through the C API, and both share the compile cache. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, suite, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { BuiltGraph } from '../../../src/onnx/graph.ts';
import { readPorts } from '../../../src/onnx/graph-ports.ts';
import { buildGraph } from '../../../src/pipelines/prove-fit.ts';
import type { HostTensor, Runtime } from '../../../src/runtime/contract.ts';
import { DEFAULT_RUNTIME, ONNX_RUNTIME_C } from '../../../src/runtime/registry.ts';
import { float32, int32 } from '../../../src/runtime/tensors.ts';
import { openKnown } from '../../checkpoint/open-known.ts';
import { assemble, CASE_NAMES, drawCase, readCase } from '../../pipelines/stable-diffusion/golden-cases.ts';
import { openOnCpu } from '../open-on-cpu.ts';
import { graphOf, STORED, weightsOf } from '../stored-types.ts';
import { NO_C_API } from './no-c-api.ts';

const place = await mkdtemp(join(tmpdir(), 'text2img-c-bytes-'));
after(() => rm(place, { recursive: true, force: true }));

suite('the C API computes what the binding computes', { skip: NO_C_API }, () => {
  test('every network of the golden cases has the same bytes, whatever its configuration', async () => {
    const seen = new Set<string>();
    for (const name of CASE_NAMES) {
      const checkpoint = await openKnown(assemble(name, readCase(name)));
      for (const component of Object.keys(checkpoint.networks)) {
        const graph = buildGraph(checkpoint, component, { computeType: 'float32' });
        const key = createHash('sha256')
          .update(graph.modelOver?.(() => ({ location: '' })) ?? graph.model)
          .digest('hex');
        if (seen.has(key)) continue;
        seen.add(key);
        assert.deepEqual(
          await outputsOf(graph, ONNX_RUNTIME_C),
          await outputsOf(graph, DEFAULT_RUNTIME),
          `${name}: ${component}`,
        );
      }
    }
    assert.ok(seen.size >= 20, `${seen.size} networks`);
  });

  for (const name of ['plain', 'four-images', 'xl-defaults', 'class-img2img', 'deep-cache-xl-2'])
    test(`${name}: each image has the same bytes`, async () => {
      const expected = await drawCase(name);
      const { images } = await drawCase(name, { settings: { runtime: 'onnxruntime-c' } });
      assert.equal(images.length, expected.images.length);
      for (const [index, { image }] of images.entries())
        assert.ok(Buffer.from(image.pixels).equals(expected.images[index]?.image.pixels ?? assert.fail()), `${index}`);
    });

  test('weights of every type have the same bits, in place and through the cache', async () => {
    const graph = graphOf(await weightsOf(join(place, 'types')));
    const inputs = { one: float32(Float32Array.of(1), [1]) };
    for (const cache of [undefined, { folder: join(place, 'types-cache'), minWeightBytes: 0 }]) {
      await using binding = await openOnCpu(graph, cache);
      const expected = await binding.run(inputs);
      await using network = await openOnCpu(graph, cache, ONNX_RUNTIME_C);
      const outputs = await network.run(inputs);
      for (const name of Object.keys(STORED))
        assert.ok(bitsOf(outputs[`${name}_out`]).equals(bitsOf(expected[`${name}_out`])), name);
    }
  });

  test('what one of them compiled the other one loads', async () => {
    const { config, weights, networkClass } = (
      await openKnown(fileURLToPath(new URL('../../golden/base', import.meta.url)))
    ).networks.unet;
    const graph = networkClass.build({ config, weights, computeType: 'float32' });
    for (const [first, second] of [
      [DEFAULT_RUNTIME, ONNX_RUNTIME_C],
      [ONNX_RUNTIME_C, DEFAULT_RUNTIME],
    ] as const) {
      const folder = await mkdtemp(join(place, 'shared-'));
      const notes: string[] = [];
      for (const runtime of [first, second]) {
        const cache = { folder, minWeightBytes: 0, onNote: (note: string) => void notes.push(note) };
        await using _network = await openOnCpu(graph, cache, runtime);
      }
      assert.deepEqual(notes, []);
      const entries = (await readdir(folder)).filter((name) => /^[0-9a-f]{32}$/.test(name));
      assert.equal(entries.length, 1);
    }
  });
});

/** Of a small input, by name. */
async function outputsOf(graph: BuiltGraph, runtime: Runtime): Promise<Record<string, string>> {
  await using network = await openOnCpu(graph, undefined, runtime);
  const inputs: Record<string, HostTensor> = {};
  for (const { name, type, dimensions } of readPorts(graph.model).inputs) {
    const shape = dimensions.map((size) => (typeof size === 'number' ? size : (SIZES[size] ?? 1)));
    const count = shape.reduce((product, size) => product * size, 1);
    inputs[name] =
      type === 'int32'
        ? int32(
            Int32Array.from({ length: count }, (_, k) => k % 7),
            shape,
          )
        : float32(
            Float32Array.from({ length: count }, (_, k) => Math.sin(k + 1)),
            shape,
          );
  }
  const outputs = Object.entries(await network.run(inputs));
  assert.ok(outputs.length > 0);
  return Object.fromEntries(outputs.map(([name, tensor]) => [name, bitsOf(tensor).toString('base64')]));
}

/** By the graphs' names for them. */
const SIZES: Readonly<Record<string, number>> = { batch: 2, height: 8, width: 8, tokens: 77 };

function bitsOf(tensor: { readonly data: ArrayBufferView } | undefined): Buffer {
  const { buffer, byteOffset, byteLength } = (tensor ?? assert.fail()).data;
  return Buffer.from(buffer as ArrayBuffer, byteOffset, byteLength);
}
