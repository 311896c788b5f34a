/** The graph of one addition, by which a runtime finds out whether a device answers. */
import { type BuiltGraph, type ComputeType, graphTypeOf } from '../onnx/graph.ts';
import { ELEMENT_TYPES, encodeModel, type NodeProto, type ValueInfoProto } from '../onnx/onnx-schema.ts';
import { messageOf } from '../lib/disk-errors.ts';
import { gpuFault } from '../lib/gpu-errors.ts';
import type { HostTensors } from './contract.ts';
import { float32, floatsOf } from './tensors.ts';

/** @returns the problem; undefined where the sum is right */
export async function addWith(
  what: string,
  run: (inputs: HostTensors) => Promise<HostTensors>,
): Promise<string | undefined> {
  try {
    const sum = floatsOf(await run({ x: float32(Float32Array.of(1, 2), [2]) }), 'y');
    return sum[1] === 4 ? undefined : `${what} gave a wrong sum`;
  } catch (error) {
    // The caller explains a GPU's fault with what the driver says, so it gets the runtime's own words.
    const cause = error instanceof Error && error.cause !== undefined ? messageOf(error.cause) : undefined;
    return cause !== undefined && gpuFault(cause) !== undefined ? cause : messageOf(error);
  }
}

/** `y = x + x`, computed in the type that a graph for `computeType` is written in. */
export function additionGraph(computeType: ComputeType): BuiltGraph {
  const info = (name: string): ValueInfoProto => ({
    name,
    type: { tensorType: { elemType: ELEMENT_TYPES.float32, shape: { dim: [{ dimParam: 'n' }] } } },
  });
  const cast = (from: string, to: string, type: number): NodeProto => ({
    name: to,
    opType: 'Cast',
    domain: '',
    input: [from],
    output: [to],
    attribute: [{ name: 'to', type: 2, i: type }],
  });
  const node = [
    cast('x', 'xc', ELEMENT_TYPES[graphTypeOf(computeType)]),
    { name: 'sum', opType: 'Add', domain: '', input: ['xc', 'xc'], output: ['sum'], attribute: [] },
    cast('sum', 'y', ELEMENT_TYPES.float32),
  ];
  const model = encodeModel({
    irVersion: 9,
    producerName: 'text2img',
    opsetImport: [{ domain: '', version: 20 }],
    graph: { name: 'addition', node, initializer: [], input: [info('x')], output: [info('y')] },
  });
  return {
    model,
    computeType,
    weightsFolder: '',
    weightFiles: [],
    weightBytes: 0,
    largestInlineBytes: 0,
    flops: 0,
    activationBytes: 0,
  };
}
