/** Runs a graph in its portable form and in the fused one, whose operators are spelled out for the CPU. */
import assert from 'node:assert/strict';
import { SPELLED_OUT_DOMAIN } from '../../../src/onnx/graph-form.ts';
import { readPorts } from '../../../src/onnx/graph-ports.ts';
import type { BuiltGraph } from '../../../src/onnx/graph.ts';
import { decodeModel, type NodeProto } from '../../../src/onnx/onnx-schema.ts';
import type { HostTensor, HostTensors } from '../../../src/runtime/contract.ts';
import { float32, int32 } from '../../../src/runtime/tensors.ts';
import type { GraphOptions } from '../portable-graphs.ts';
import { randomNumbers } from '../random-weights.ts';
import { assertClose, runGraph } from '../vectors.ts';

/** A share of the largest number of a result. */
const FLOAT32_TOLERANCE = 1e-4;
/**
 * Between the two forms in float16. A result of a network in float16 differs from that in float32 by up to 4.4e-3 (`networks.test.ts`), and the two
 * forms round in different places: twice that, and room for processors whose kernels round more often.
 */
const FLOAT16_TOLERANCE = 3e-2;

type Build = (options: GraphOptions) => BuiltGraph;

/** @returns the largest difference that was allowed was not exceeded; the fused results */
export async function compareForms(
  build: Build,
  inputs: HostTensors,
  computeType: 'float32' | 'float16',
): Promise<HostTensors> {
  const portable = await runGraph(build({ computeType }), inputs);
  const fused = await runGraph(build({ computeType, form: 'fused', fusedDomain: SPELLED_OUT_DOMAIN }), inputs);
  assert.deepEqual(Object.keys(fused).toSorted(), Object.keys(portable).toSorted());
  const tolerance = computeType === 'float32' ? FLOAT32_TOLERANCE : FLOAT16_TOLERANCE;
  for (const [name, expected] of Object.entries(portable)) assertClose(fused[name], expected, tolerance);
  return fused;
}

/**
 * Random inputs for a graph.
 * @param sizes of the dimensions that vary, by their names @param largest of whole numbers, by the input's name; default: 1
 */
export function randomInputs(
  graph: BuiltGraph,
  sizes: Readonly<Record<string, number>>,
  largest: Readonly<Record<string, number>> = {},
): HostTensors {
  const numbers = randomNumbers(7);
  const inputs = readPorts(graph.model).inputs.map(({ name, type, dimensions }): [string, HostTensor] => {
    const shape = dimensions.map((size) => (typeof size === 'number' ? size : (sizes[size] ?? Number.NaN)));
    const length = shape.reduce((product, size) => product * size, 1);
    assert.ok(Number.isInteger(length), `${name} has a dimension without a size: ${dimensions.join()}`);
    if (type === 'int32') {
      const most = largest[name] ?? 1;
      const values = Int32Array.from({ length }, () => Math.floor(((numbers.next().value + 1) / 2) * most));
      return [name, int32(values, shape)];
    }
    const scale = name === 'timestep' ? 999 : 2;
    const values = Float32Array.from({ length }, () => numbers.next().value * scale);
    return [name, float32(name === 'timestep' ? values.map(Math.abs) : values, shape)];
  });
  return Object.fromEntries(inputs);
}

export interface Nodes {
  readonly all: readonly NodeProto[];
  /** Of nodes that something else than weights goes into. */
  readonly counts: Readonly<Record<string, number>>;
  readonly functions: number;
}

/** The nodes of a graph that compute something out of its inputs. */
export function nodesOf({ model }: BuiltGraph): Nodes {
  const { graph, functions = [] } = decodeModel(model);
  const constants = new Set(graph.initializer.map(({ name }) => name));
  const all: NodeProto[] = [];
  for (const node of graph.node) {
    if (node.input.every((name) => name === '' || constants.has(name)))
      for (const name of node.output) constants.add(name);
    else all.push(node);
  }
  const counts: Record<string, number> = {};
  for (const { opType } of all) counts[opType] = (counts[opType] ?? 0) + 1;
  return { all, counts, functions: functions.length };
}
