/** The committed vectors of `test/networks/vectors/` (its README says what they are), and how a graph's results are held against them. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { largestDifference } from '../../src/lib/largest-difference.ts';
import { openComponentWeights } from '../../src/checkpoint/component-weights.ts';
import type { Weights } from '../../src/onnx/weights.ts';
import type { BuiltGraph, Dimension } from '../../src/onnx/graph.ts';
import type { HostTensor } from '../../src/runtime/contract.ts';
import { float32, int32 } from '../../src/runtime/tensors.ts';
import { readTensors, type StoredTensor } from '../checkpoint/checkpoint-copies.ts';
import { openOnCpu } from '../runtime/open-on-cpu.ts';

const folder = fileURLToPath(new URL('vectors', import.meta.url));

interface CaseRecord {
  readonly name: string;
  readonly about: string;
  readonly operation: string;
  readonly options: Readonly<Record<string, unknown>>;
  readonly inputs: Readonly<Record<string, readonly Dimension[]>>;
  readonly weights_of?: string;
  readonly flops: number;
}

export interface VectorCase extends Omit<CaseRecord, 'inputs' | 'weights_of'> {
  readonly dimensions: CaseRecord['inputs'];
  readonly inputs: Readonly<Record<string, HostTensor>>;
  readonly weights: Weights;
  readonly expected: Readonly<Record<string, HostTensor>>;
}

/** @param group `layers`, `clip`, `unet`, `vae` */
export async function readVectors(group: string): Promise<readonly VectorCase[]> {
  if (!existsSync(`${folder}/${group}.json`))
    throw new Error(
      `test/networks/vectors has no ${group}.json: add its cases in reference/network_vectors.py, then run: python reference/make_network_vectors.py`,
    );
  const records = JSON.parse(readFileSync(`${folder}/${group}.json`, 'utf8')) as CaseRecord[];
  const tensors = readTensors(`${folder}/${group}.safetensors`);
  const stored = await openComponentWeights({ component: group, folder, baseName: group });
  const under = (prefix: string): Record<string, HostTensor> =>
    Object.fromEntries(
      [...tensors]
        .filter(([name]) => name.startsWith(prefix))
        .map(([name, tensor]) => [name.slice(prefix.length), decode(tensor)]),
    );
  return records.map(({ inputs, weights_of: owner, ...record }) => ({
    ...record,
    dimensions: inputs,
    inputs: under(`${record.name}/inputs/`),
    weights: weightsUnder(stored, `${owner ?? record.name}/weights/`),
    expected: under(`${record.name}/expected/`),
  }));
}

function decode({ dtype, shape, data }: StoredTensor): HostTensor {
  const { buffer } = Uint8Array.from(data);
  assert.ok(dtype === 'F32' || dtype === 'I32', dtype);
  return dtype === 'F32' ? float32(new Float32Array(buffer), shape) : int32(new Int32Array(buffer), shape);
}

/** The tensors whose names begin with `prefix`, under the rest of their names. */
function weightsUnder(stored: Weights, prefix: string): Weights {
  return {
    component: stored.component,
    names: () => [...stored.names()].filter((name) => name.startsWith(prefix)).map((name) => name.slice(prefix.length)),
    has: (name) => stored.has(prefix + name),
    place: (name) => stored.place(prefix + name),
    smallTensor: (name) => stored.smallTensor(prefix + name),
  };
}

/** Sizes for the dimensions that vary: those of the case, or others, because a graph must not depend on what it was written for. */
export function nominalShape(dimensions: readonly Dimension[], { shape }: HostTensor, isActual: boolean): number[] {
  return dimensions.map((size, index) => (typeof size === 'string' && !isActual ? 13 : (shape[index] as number)));
}

/** One thread, on the CPU. */
export async function runGraph(
  graph: BuiltGraph,
  inputs: Readonly<Record<string, HostTensor>>,
): Promise<Readonly<Record<string, HostTensor>>> {
  await using network = await openOnCpu(graph);
  return await network.run(inputs);
}

/** The largest difference as a share of the largest number that is expected. NaN where one of them is NaN. */
function distance(actual: HostTensor | undefined, expected: HostTensor): number {
  assert.deepEqual([...(actual?.shape ?? [])], [...expected.shape]);
  return largestDifference(actual?.data as Float32Array, expected.data as Float32Array);
}

/** @param tolerance a share of the largest number that is expected */
export function assertClose(actual: HostTensor | undefined, expected: HostTensor, tolerance: number): void {
  const far = distance(actual, expected);
  // Written so that NaN fails.
  assert.ok(far <= tolerance, `differs by ${far.toExponential(1)} of the largest number; allowed is ${tolerance}`);
}
