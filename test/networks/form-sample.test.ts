/** The sample of the fused form: what it has, and that it shows every fault of it. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { FormSample } from '../../src/networks/form-sample.ts';
import { SPELLED_OUT_DOMAIN } from '../../src/onnx/graph-form.ts';
import type { BuiltGraph } from '../../src/onnx/graph.ts';
import { decodeModel, encodeModel, type NodeProto } from '../../src/onnx/onnx-schema.ts';
import { tryFusedForm } from '../../src/runtime/try-fused-form.ts';
import { openOnCpu } from '../runtime/open-on-cpu.ts';
import { nodesOf } from './fused-form/both-forms.ts';

const FUSED = ['NhwcConv', 'GroupNorm', 'SkipGroupNorm', 'BiasSplitGelu', 'BiasAdd', 'SkipLayerNormalization'];
const SPELLED_OUT = { form: 'fused', fusedDomain: SPELLED_OUT_DOMAIN } as const;
const sample = new FormSample();

/** Of each: its channels, its kernel and its stride. */
function convolutions(graph: BuiltGraph): readonly string[] {
  const { graph: written } = decodeModel(graph.model);
  const sizes = new Map(written.initializer.map(({ name, dims }) => [name, dims.map(Number)]));
  return nodesOf(graph)
    .all.filter(({ opType }) => opType === 'NhwcConv')
    .map(({ input, attribute }) => {
      let name = input[1] as string;
      // Turned and cast on its way.
      while (!sizes.has(name)) name = written.node.find(({ output }) => output[0] === name)?.input[0] as string;
      const weight = sizes.get(name) ?? [];
      const strides = attribute.find((one) => one.name === 'strides')?.ints?.map(Number) ?? [];
      return `${weight[1]} → ${weight[0]}, ${weight[2]}×${weight[3]}, stride ${strides[0]}`;
    });
}

test('it has every operator of the fused form, with those convolutions that a library may have no kernel for', () => {
  const graph = sample.graph('float32', SPELLED_OUT);
  const { counts, all } = nodesOf(graph);
  for (const name of [...FUSED, 'FusedMatMul', 'MultiHeadAttention', 'LayerNormalization'])
    assert.ok((counts[name] ?? 0) > 0, name);
  const found = convolutions(graph);
  for (const wanted of [
    '4 → 128, 3×3, stride 1',
    '128 → 128, 3×3, stride 2',
    '320 → 4, 3×3, stride 1',
    '320 → 3, 3×3, stride 1',
  ])
    assert.ok(found.includes(wanted), `${wanted} is missing in ${found.join('; ')}`);
  const attributesOf = (type: string, name: string): readonly unknown[] =>
    all
      .filter(({ opType }) => opType === type)
      .map(({ attribute }) => attribute.find((one) => one.name === name)?.i ?? 0);
  assert.deepEqual(new Set(attributesOf('GroupNorm', 'activation').map(Number)), new Set([0, 1]));
  assert.ok(attributesOf('MultiHeadAttention', 'unidirectional').map(Number).includes(1));
  // With the operators of CUDA it is the same graph.
  assert.deepEqual(nodesOf(sample.graph('float32', { form: 'fused' })).counts, counts);
});

test('both forms have the same weights, and another process makes the same', () => {
  const again = new FormSample();
  for (const style of [{}, SPELLED_OUT])
    assert.deepEqual(again.graph('float16', style).model, sample.graph('float16', style).model);
});

test('it is small, and no weight of it lies in a file', () => {
  const { model, weightFiles, activationBytes } = sample.graph('float32', SPELLED_OUT);
  assert.deepEqual(weightFiles, []);
  assert.ok(model.length < 10_000_000, `${model.length} bytes`);
  assert.ok(activationBytes < 20_000_000, `${activationBytes} bytes`);
});

/** The graph with all results of one operator multiplied by zero. */
function without(graph: BuiltGraph, broken: NodeProto): BuiltGraph {
  const model = decodeModel(graph.model);
  const node = model.graph.node.flatMap((one): NodeProto[] => {
    if (one.name !== broken.name) return [one];
    const output = one.output.map((name) => (name === '' ? '' : `${name}/whole`));
    const zeros = one.output
      .filter((name) => name !== '')
      .map((name) => ({
        ...one,
        name: `${name}/zeros`,
        opType: 'Sub',
        domain: '',
        input: [`${name}/whole`, `${name}/whole`],
        output: [name],
        attribute: [],
      }));
    return [{ ...one, output }, ...zeros];
  });
  return { ...graph, model: encodeModel({ ...model, graph: { ...model.graph, node } }) };
}

suite('one operator that gives zeros is noticed', () => {
  for (const computeType of ['float32', 'float16'] as const) {
    const whole = sample.graph(computeType, SPELLED_OUT);
    const kinds = [...FUSED, 'MultiHeadAttention'];
    for (const broken of nodesOf(whole).all.filter(({ opType }) => kinds.includes(opType))) {
      test(`${broken.name} in ${computeType}`, async () => {
        const problem = await tryFusedForm({
          computeTypes: [computeType],
          fusedDomain: SPELLED_OUT_DOMAIN,
          open: async (graph) => await openOnCpu(graph.form === 'fused' ? without(graph, broken) : graph),
        });
        assert.match(
          problem ?? 'no problem',
          new RegExp(`^in ${computeType} its numbers differ from the portable form by `),
        );
      });
    }
  }
});
