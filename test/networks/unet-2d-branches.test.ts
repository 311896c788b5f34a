/** A UNet's graphs for feature caching: the shallow one continues what the whole one gives, with each UNet of the vectors. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readConfig } from '../../src/lib/config-rules.ts';
import { omitUndefined } from '../../src/lib/omit-undefined.ts';
import { branchAt, featureBytes, largestBranch, shallowReadsPrompt } from '../../src/networks/unet-2d-branches.ts';
import { UNET_2D_CONDITION_MODEL } from '../../src/networks/unet-2d-condition-model.ts';
import type { BuiltGraph } from '../../src/onnx/graph.ts';
import { decodeModel } from '../../src/onnx/onnx-schema.ts';
import type { HostTensor } from '../../src/runtime/contract.ts';
import { assertClose, readVectors, runGraph, type VectorCase } from './vectors.ts';

/** A share of the largest number. Both graphs have the same operators behind the feature, but ONNX Runtime may fuse them otherwise. */
const TOLERANCE = 1e-5;

const groups = await Promise.all(['unet', 'unet-options', 'unet-xl'].map(readVectors));
const cases = groups.flat();

function configOf({ options, name }: VectorCase) {
  return readConfig(UNET_2D_CONDITION_MODEL, options, name).config;
}

function build(vector: VectorCase, graph: 'whole' | 'shallow', branch: number): BuiltGraph {
  const builder = UNET_2D_CONDITION_MODEL.moreGraphs?.[graph];
  assert.ok(builder !== undefined);
  return builder.build({ config: configOf(vector), weights: vector.weights, computeType: 'float32', branch });
}

/** All of a group's first UNet. Of the others the largest and one more, another one each time. */
function branchesOf(vector: VectorCase, index: number): readonly number[] {
  const largest = largestBranch(configOf(vector));
  const all = Array.from({ length: largest + 1 }, (_, branch) => branch);
  return groups.some(([first]) => first === vector) ? all : [...new Set([index % largest, largest])];
}

for (const [index, vector] of cases.entries()) {
  const branches = branchesOf(vector, index);
  test(`${vector.name}: at branch ${branches.join()} a shallow pass gives what the whole pass gave whose feature it takes`, async () => {
    const config = configOf(vector);
    for (const branch of branches) {
      const whole = await runGraph(build(vector, 'whole', branch), vector.inputs);
      const { out_sample: expected, feature } = whole;
      assert.ok(expected !== undefined && feature !== undefined);
      assertClose(expected, vector.expected['out_sample'] as typeof expected, TOLERANCE);
      assert.equal(feature.shape[1], branchAt(config, branch).channels);
      const { encoder_hidden_states: prompt, ...inputs } = vector.inputs;
      const read = shallowReadsPrompt(config, branch) ? omitUndefined({ encoder_hidden_states: prompt }) : {};
      const shallow = await runGraph(build(vector, 'shallow', branch), { ...inputs, ...read, feature });
      assertClose(shallow['out_sample'], expected, TOLERANCE);
    }
  });
}

test('a shallow graph has fewer weights and less arithmetic than the whole one, and more at each branch that goes deeper', () => {
  const [vector] = cases;
  assert.ok(vector !== undefined);
  const whole = build(vector, 'whole', 0);
  const largest = largestBranch(configOf(vector));
  const shallow = Array.from({ length: largest + 1 }, (_, branch) => build(vector, 'shallow', branch));
  for (const [branch, { flops, weightBytes }] of shallow.entries()) {
    assert.ok(flops < whole.flops && weightBytes < whole.weightBytes, `branch ${branch}`);
    assert.ok(flops >= (shallow[branch - 1]?.flops ?? 0), `branch ${branch}`);
  }
});

test('the first graph is the whole one of branch 0, so that caching there needs no second whole network', () => {
  const [vector] = cases;
  assert.ok(vector !== undefined);
  const first = UNET_2D_CONDITION_MODEL.build({
    config: configOf(vector),
    weights: vector.weights,
    computeType: 'float32',
  });
  assert.deepEqual(first.model, build(vector, 'whole', 0).model);
});

test('the features of an image are as many bytes as the whole graph gives', async () => {
  for (const vector of cases.slice(0, 3)) {
    const config = configOf(vector);
    const [batch, , height, width] = (vector.inputs['sample'] as HostTensor).shape;
    for (const branch of [0, 4, largestBranch(config)]) {
      const { feature } = await runGraph(build(vector, 'whole', branch), vector.inputs);
      assert.equal(featureBytes(config, branch, omitUndefined({ batch, height, width })), feature?.data.byteLength);
    }
  }
});

test('a shallow graph has no input that nothing reads', () => {
  for (const vector of cases)
    for (let branch = 0; branch <= largestBranch(configOf(vector)); branch++) {
      const { input, node } = decodeModel(build(vector, 'shallow', branch).model).graph;
      const read = new Set(node.flatMap((one) => one.input));
      assert.deepEqual(
        input.filter(({ name }) => !read.has(name)),
        [],
        `${vector.name}, branch ${branch}`,
      );
    }
});
