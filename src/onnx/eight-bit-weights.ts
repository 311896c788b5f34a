/**
 * Weights of linear layers in 8 bits. A weight is `(stored − 128) · scale`, and a block of neighbouring inputs shares a scale. Runtimes want two forms of
 * the product (`EightBitForm`). docs/decisions/eight-bit-weights.md has the measurements.
 */
import { ELEMENT_TYPES, type NodeProto, type TensorProto } from './onnx-schema.ts';
import { attributeProto, externalAt, nodeProto, type WeightFilePlace } from './protos.ts';
import type { WidenedTensor } from './widening.ts';

/**
 * `packed`: ONNX Runtime's `MatMulNBits` (docs/ContribOperators.md of ONNX Runtime 1.30). `written-out`: nodes that make the weight in float32 before a
 * usual product. OpenVINO 2026.4 knows this pattern and keeps the 8 bits. It also reads `MatMulNBits`, but copies the weight once more.
 */
export type EightBitForm = 'packed' | 'written-out';

/** Inputs that share a scale, the largest first that divides a layer's inputs. With 64 a layer of SDXL was faster than with 32 and 128. */
const BLOCKS = [64, 32, 16] as const;
/** The stored number of a weight of 0, where a node names none. */
export const ZERO_POINT = 128;
/** The largest magnitude of a block. */
export const LARGEST = 127;
/** It rounds the inputs to 8 bits as well, a block at a time. Level 0 does not, and is no faster than float32. */
const ACCURACY_LEVEL = 4;
const SCALE_BYTES = 4;

/** A product with a weight in 8 bits. */
export interface PackedProduct {
  /** The node that multiplies. */
  readonly node: string;
  readonly outputs: number;
  readonly inputs: number;
  /** Inputs that share a scale. */
  readonly block: number;
}

/** @param weight [out, in] @returns undefined where no block divides the inputs */
export function packedProduct(
  node: string,
  { shape: [outputs = 0, inputs = 0] }: { readonly shape: readonly number[] },
): PackedProduct | undefined {
  const block = BLOCKS.find((size) => inputs % size === 0);
  return block === undefined ? undefined : { node, outputs, inputs, block };
}

/** Bytes of one weight with its share of the scale. */
export function bytesOfOne({ block }: Pick<PackedProduct, 'block'>): number {
  return 1 + SCALE_BYTES / block;
}

interface PackedGraph {
  readonly nodes: readonly NodeProto[];
  /** Constants that stand in the graph itself. */
  readonly constants: readonly TensorProto[];
}

/** The products `FusedMatMul(x, weight)` with their weight in 8 bits. @param packed by the weight's name */
export function packProducts(
  nodes: readonly NodeProto[],
  packed: ReadonlyMap<string, PackedProduct>,
  form: EightBitForm,
): PackedGraph {
  const products = new Map(Array.from(packed, ([weight, product]) => [product.node, { ...product, weight }]));
  const change = form === 'packed' ? packedNode : writtenOut;
  const changed = nodes.map((node) => {
    const product = products.get(node.name);
    return product === undefined ? { nodes: [node], constants: [] } : change(node, product);
  });
  const shared = form === 'packed' || packed.size === 0 ? undefined : zeroPoint();
  return {
    nodes: [...(shared?.nodes ?? []), ...changed.flatMap((one) => one.nodes)],
    constants: [...(shared?.constants ?? []), ...changed.flatMap((one) => one.constants)],
  };
}

type NamedProduct = PackedProduct & { readonly weight: string };

function packedNode(node: NodeProto, { inputs: K, outputs: N, block, weight }: NamedProduct): PackedGraph {
  const attributes = { K, N, bits: 8, block_size: block, accuracy_level: ACCURACY_LEVEL };
  const product = {
    ...node,
    opType: 'MatMulNBits',
    input: [node.input[0] as string, weight, scalesOf(weight)],
    attribute: Object.entries(attributes).map(([key, value]) => attributeProto(key, value)),
  };
  return { nodes: [product], constants: [] };
}

const ZERO = 'eight-bit/zero';
const AS_FLOAT32 = attributeProto('to', ELEMENT_TYPES.float32);

function zeroPoint(): PackedGraph {
  const stored = {
    name: `${ZERO}/stored`,
    dims: [1],
    dataType: ELEMENT_TYPES.uint8,
    rawData: Uint8Array.of(ZERO_POINT),
  };
  return {
    nodes: [{ ...nodeProto(ZERO, 'Cast', [stored.name], [ZERO]), attribute: [AS_FLOAT32] }],
    constants: [stored],
  };
}

function writtenOut(node: NodeProto, { inputs, outputs, weight }: NamedProduct): PackedGraph {
  const name = (step: string): string => `${weight}/${step}`;
  const shape = new Uint8Array(BigInt64Array.of(BigInt(outputs), BigInt(inputs)).buffer);
  const make = (step: string, opType: string, input: readonly string[]): NodeProto =>
    nodeProto(name(step), opType, input, [name(step)]);
  return {
    nodes: [
      { ...make('float32', 'Cast', [weight]), attribute: [AS_FLOAT32] },
      make('centred', 'Sub', [name('float32'), ZERO]),
      make('scaled', 'Mul', [name('centred'), scalesOf(weight)]),
      make('matrix', 'Reshape', [name('scaled'), name('shape')]),
      { ...node, input: [node.input[0] as string, name('matrix')] },
    ],
    constants: [{ name: name('shape'), dims: [2], dataType: ELEMENT_TYPES.int64, rawData: shape }],
  };
}

function scalesOf(weight: string): string {
  return `${weight}/scales`;
}

interface WrittenWeight {
  readonly name: string;
  readonly dims: readonly number[];
  /** undefined: floating-point numbers. */
  readonly packed: PackedProduct | undefined;
}

/** The initialisers of a weight in the file that `writeWidened` wrote. */
export function writtenTensors(
  { name, dims, packed }: WrittenWeight,
  tensor: WidenedTensor,
  { file, form }: { readonly file: WeightFilePlace; readonly form: EightBitForm },
): readonly [TensorProto, ...TensorProto[]] {
  const { scales, type = 'float32' } = tensor;
  if (packed === undefined || scales === undefined)
    return [{ name, dims, dataType: ELEMENT_TYPES[type], ...externalAt(tensor, file) }];
  const { outputs, inputs, block } = packed;
  const blocks = inputs / block;
  // With one more dimension a scale meets the numbers of its block.
  const scaleDims = form === 'packed' ? [outputs, blocks] : [outputs, blocks, 1];
  return [
    { name, dims: [outputs, blocks, block], dataType: ELEMENT_TYPES.uint8, ...externalAt(tensor, file) },
    { name: scalesOf(name), dims: scaleDims, dataType: ELEMENT_TYPES.float32, ...externalAt(scales, file) },
  ];
}
