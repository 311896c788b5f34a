/**
 * Writes an ONNX graph node by node. The layers in `networks/layers/` are made of the operators here; weights are not copied but
 * referred to where they lie in the safetensors files.
 *
 * A value's `shape` is the one it has at the builder's nominal sizes of batch, height and width. It serves to count
 * arithmetic and to check weights; the graph itself stays free of it, so one graph runs at every size.
 */
import type { ComputeType } from './compute-type.ts';
import { basename, dirname } from 'node:path';
import { Text2ImgError } from '../errors/text2img-error.ts';
import { type ComputedNode, peakActivationBytes } from './activations.ts';
import { quote } from '../lib/foreign-text.ts';
import { omitUndefined } from '../lib/omit-undefined.ts';
import { commonFolder, externalLocation } from './external-files.ts';
import {
  bytesOfOne,
  type EightBitForm,
  type PackedProduct,
  packedProduct,
  packProducts,
  writtenTensors,
} from './eight-bit-weights.ts';
import {
  type Attribute,
  attributeProto,
  type Dimension,
  externalAt,
  nodeProto,
  valueInfo,
  type WeightFilePlace,
} from './protos.ts';
import type { WeightType } from './weight-type.ts';
import { elementsOf, type ExternalWeight, placeInOneFile, type WidenedFile } from './widening.ts';
import type { SafetensorsDtype, Weights } from './weights.ts';
import {
  ELEMENT_BYTES,
  ELEMENT_TYPES,
  type ElementType,
  encodeModel,
  type NodeProto,
  type TensorProto,
  type ValueInfoProto,
} from './onnx-schema.ts';

export interface Value {
  readonly name: string;
  readonly type: ElementType;
  /** At the nominal sizes. */
  readonly shape: readonly number[];
}

export type { ComputeType, Dimension, WeightType };

/** The types that a graph is written in. */
export type GraphType = 'float32' | 'float16';

export function graphTypeOf(computeType: ComputeType): GraphType {
  return computeType === 'float16' ? 'float16' : 'float32';
}

/** The same graph over one file with all of its weights in the compute type, or in 8 bits. */
export interface Widening extends WidenedFile {
  /** @param file that `writeWidened` wrote @param form of 8-bit products; absent: `packed` */
  readonly graphOver: (file: string, form?: EightBitForm) => BuiltGraph;
}

export interface BuiltGraph {
  readonly model: Uint8Array;
  /** The model with its weight files elsewhere: below another folder, or in memory. Absent: it has none. */
  readonly modelOver?: (placeOf: (file: string) => WeightFilePlace) => Uint8Array;
  /** Precision of its arithmetic; its inputs and outputs are always float32. */
  readonly computeType: ComputeType;
  /** The folder that the external initialisers' locations are relative to. */
  readonly weightsFolder: string;
  /** The files that the external initialisers lie in. */
  readonly weightFiles: readonly string[];
  /** Bytes of the external initialisers in the compute type, or in 8 bits. */
  readonly weightBytes: number;
  /** `int8`: linear layers have weights of 8 bits. Where `widening` is there, only the graph that it makes has them. Absent: no layer has. */
  readonly weightType?: 'int8';
  /** Absent: the files have every external initialiser as the graph wants it. */
  readonly widening?: Widening;
  /** Of the largest tensor that stands in the graph itself. */
  readonly largestInlineBytes: number;
  /** 2 × multiply-adds of Conv, MatMul and attention at the nominal sizes. */
  readonly flops: number;
  /** Of the values that live at once at the nominal sizes, at most. */
  readonly activationBytes: number;
}

/** Before its file was written the graph has weights of floating-point numbers, and a runtime would hold four times as many bytes without a word. @throws `internal` */
export function requireWritten({ weightType, widening }: BuiltGraph): void {
  if (weightType === 'int8' && widening !== undefined)
    throw new Text2ImgError('internal', 'a graph was opened before its 8-bit weights were written.');
}

const ONNX_OPSET = 20;
const IR_VERSION = 9;
const MICROSOFT_DOMAIN = 'com.microsoft';

export const STORED_TYPES: Partial<Record<SafetensorsDtype, ElementType>> = {
  F64: 'float64',
  F32: 'float32',
  F16: 'float16',
  BF16: 'bfloat16',
  F8_E4M3: 'float8e4m3fn',
  F8_E5M2: 'float8e5m2',
};

export interface NodeOptions {
  readonly attributes?: Readonly<Record<string, Attribute>>;
  /** Attributes that are floats even when their value is whole. */
  readonly floats?: Readonly<Record<string, number>>;
  readonly microsoft?: boolean;
  readonly shape: readonly number[];
  readonly type?: ElementType;
  /** Memory that it needs beside its inputs and results while it runs, at the nominal sizes. */
  readonly workspaceBytes?: number;
}

export class GraphBuilder {
  /** The type of weights and arithmetic in the graph. */
  readonly graphType: GraphType;
  readonly #computeType: ComputeType;
  readonly weights: Weights;
  readonly #nodes: NodeProto[] = [];
  readonly #computed: ComputedNode[] = [];
  readonly #initializers: TensorProto[] = [];
  readonly #external: (ExternalWeight & { readonly index: number })[] = [];
  readonly #inputs: ValueInfoProto[] = [];
  readonly #outputs: ValueInfoProto[] = [];
  readonly #weightValues = new Map<string, Value>();
  readonly #constants = new Map<string, Value>();
  readonly #transposed = new Set<string>();
  /** Of products whose weights will be in 8 bits, by the weight's value. */
  readonly #packed = new Map<string, PackedProduct>();
  readonly #weightType: WeightType;
  #flops = 0;
  #counter = 0;

  /** @param weightType of the products that `mayPack` names */
  constructor(weights: Weights, computeType: ComputeType, weightType: WeightType = 'float') {
    this.weights = weights;
    this.#computeType = computeType;
    this.#weightType = weightType;
    this.graphType = graphTypeOf(computeType);
  }

  input(name: string, type: ElementType, dimensions: readonly Dimension[], nominal: readonly number[]): Value {
    this.#inputs.push(valueInfo(name, type, dimensions));
    return { name, type, shape: nominal };
  }

  output(name: string, value: Value, dimensions: readonly Dimension[]): void {
    const result = this.cast(value, 'float32');
    this.#nodes.push(nodeProto(`output/${name}`, 'Identity', [result.name], [name]));
    this.#computed.push({ opType: 'Identity', inputs: [result.name], results: [{ name, bytes: bytesOf(result) }] });
    this.#outputs.push(valueInfo(name, 'float32', dimensions));
  }

  /**
   * The same float32 value, also where the runtime computes in bfloat16, back to the last convolution or product before it. An ONNX graph has no mark
   * for that. But OpenVINO leaves everything on the way to an output alone (2026.4, `Graph::EnforceInferencePrecision` of its CPU plugin). So the value
   * becomes one more output, which nobody reads.
   */
  inFloat32(value: Value): Value {
    if (this.#computeType !== 'bfloat16') return value;
    const name = `float32/${this.#outputs.length}`;
    this.output(
      name,
      value,
      value.shape.map((_, axis) => `${name}/${axis}`),
    );
    return value;
  }

  /** Adds one operator with one result. An input that is undefined is left out, as ONNX does for optional ones. */
  node(opType: string, inputs: readonly (Value | undefined)[], options: NodeOptions): Value {
    return this.nodes(opType, inputs, options, [options.shape])[0] as Value;
  }

  /** Adds one operator with several results, all of one type. */
  nodes(
    opType: string,
    inputs: readonly (Value | undefined)[],
    options: NodeOptions,
    shapes: readonly (readonly number[])[],
  ): Value[] {
    const name = `${opType}_${this.#counter++}`;
    const type = options.type ?? inputs[0]?.type ?? 'float32';
    const results = shapes.map((shape, index) => ({ name: index === 0 ? name : `${name}:${index}`, type, shape }));
    const attributes = [
      ...Object.entries(options.attributes ?? {}).map(([key, value]) => attributeProto(key, value)),
      ...Object.entries(options.floats ?? {}).map(([key, f]) => ({ name: key, type: 1, f })),
    ];
    this.#nodes.push({
      ...nodeProto(
        name,
        opType,
        inputs.map((input) => input?.name ?? ''),
        results.map((result) => result.name),
      ),
      domain: options.microsoft === true ? MICROSOFT_DOMAIN : '',
      attribute: attributes,
    });
    this.#computed.push({
      opType,
      inputs: inputs.map((input) => input?.name ?? ''),
      results: results.map((result) => ({ name: result.name, bytes: bytesOf(result) })),
      workspaceBytes: options.workspaceBytes ?? 0,
    });
    return results;
  }

  countFlops(flops: number): void {
    this.#flops += flops;
  }

  cast(value: Value, type: ElementType): Value {
    if (value.type === type) return value;
    return this.node('Cast', [value], { attributes: { to: ELEMENT_TYPES[type] }, shape: value.shape, type });
  }

  /**
   * The tensor `name` of the component's weights in the compute type. The configuration asks for `shape`. A stored tensor that differs only by
   * dimensions of 1 (a linear layer saved as a 1×1 convolution) is accepted. A matrix that the file has the other way round has the file's shape here.
   * @throws `missing_tensor`, `wrong_tensor_shape`
   */
  weight(name: string, shape: readonly number[]): Value {
    const known = this.#weightValues.get(name);
    if (known !== undefined) return known;
    const place = this.weights.place(name, shape);
    const { storedName = name } = place;
    const type = STORED_TYPES[place.dtype];
    if (type === undefined) {
      const allowed = Object.keys(STORED_TYPES).join(', ');
      throw new Text2ImgError(
        'wrong_tensor_shape',
        `${this.weights.component}: tensor "${storedName}" has type ${place.dtype}; allowed are ${allowed} (in ${place.file}).`,
      );
    }
    const asked = place.transposed === true ? shape.toReversed() : shape;
    if (squeezed(place.shape) !== squeezed(asked)) {
      throw new Text2ImgError(
        'wrong_tensor_shape',
        `${this.weights.component}: tensor "${storedName}" has shape ${quote(place.shape)}, but the configuration asks for ${quote(asked)} (in ${place.file}).`,
      );
    }
    const tensor = { name, dims: asked, dataType: ELEMENT_TYPES[type] };
    const index = this.#initializers.length;
    const inline = this.weights.smallTensor(name);
    this.#initializers.push(inline === undefined ? tensor : { ...tensor, rawData: inline });
    const firstNode = this.#nodes.length;
    const stored: Value = { name, type, shape: asked };
    const value = this.cast(place.scale === undefined ? stored : this.#scaled(stored, place.scale), this.graphType);
    const converters = this.#nodes.slice(firstNode).map((node) => node.name);
    if (inline === undefined) this.#external.push({ index, place, valueName: value.name, converters });
    this.#weightValues.set(name, value);
    if (place.transposed === true) this.#transposed.add(name);
    return value;
  }

  /** In float32, so that a large scale does not overflow. */
  #scaled(stored: Value, scale: readonly number[]): Value {
    const shape = [scale.length, ...stored.shape.slice(1).map(() => 1)];
    return this.node('Mul', [this.cast(stored, 'float32'), this.constant(scale, shape, 'float32')], {
      shape: stored.shape,
    });
  }

  /** Allows 8-bit weights in a product of `linear`, where the graph is to have them. @param weightName that `weight` was asked for */
  mayPack(product: Value, weightName: string): void {
    const weight = this.#weightValues.get(weightName);
    const isInFile = weight !== undefined && this.#external.some(({ valueName }) => valueName === weight.name);
    if (this.#weightType !== 'int8' || !isInFile || this.#transposed.has(weightName)) return;
    const packed = packedProduct(product.name, weight);
    if (packed !== undefined) this.#packed.set(weight.name, packed);
  }

  /** Whether a weight that was asked for lies in the file the other way round. */
  isTransposed(name: string): boolean {
    return this.#transposed.has(name);
  }

  /** A small constant in the compute type, or in float32 on request. */
  constant(data: readonly number[], shape: readonly number[], type: GraphType = this.graphType): Value {
    const bytes = type === 'float32' ? new Float32Array(data) : new Float16Array(data);
    return this.#constant(type, shape, new Uint8Array(bytes.buffer));
  }

  /** A constant vector of whole numbers, as shapes and axes are. */
  integers(data: readonly number[]): Value {
    return this.#constant('int64', [data.length], new Uint8Array(BigInt64Array.from(data, BigInt).buffer));
  }

  #constant(type: ElementType, shape: readonly number[], rawData: Uint8Array): Value {
    const key = `${type}[${shape.join()}]${Buffer.from(rawData).toString('base64')}`;
    const known = this.#constants.get(key);
    if (known !== undefined) return known;
    const name = `constant_${this.#constants.size}`;
    this.#initializers.push({ name, dims: shape, dataType: ELEMENT_TYPES[type], rawData });
    const value = { name, type, shape };
    this.#constants.set(key, value);
    return value;
  }

  /** The finished model. */
  build(name: string): BuiltGraph {
    const files = this.#external.map(({ place }) => place.file);
    const folder = commonFolder(files);
    const weightFiles = [...new Set(files)];
    const modelOver = (placeOf: (file: string) => WeightFilePlace): Uint8Array => {
      const initializer = [...this.#initializers];
      for (const { index, place } of this.#external)
        initializer[index] = { ...(initializer[index] as TensorProto), ...externalAt(place, placeOf(place.file)) };
      return this.#encode(name, this.#nodes, initializer);
    };
    const facts = {
      computeType: this.#computeType,
      ...(this.#packed.size === 0 ? {} : { weightType: 'int8' as const }),
      weightBytes: this.#external.reduce((sum, { place, valueName }) => {
        const packed = this.#packed.get(valueName);
        return sum + elementsOf(place) * (packed === undefined ? ELEMENT_BYTES[this.#computeType] : bytesOfOne(packed));
      }, 0),
      largestInlineBytes: this.#initializers.reduce((max, { rawData }) => Math.max(max, rawData?.length ?? 0), 0),
      flops: this.#flops,
      activationBytes: peakActivationBytes(this.#computed, {
        constants: new Set(this.#initializers.map((initializer) => initializer.name)),
        outputs: this.#outputs.map((output) => output.name),
      }),
    };
    return {
      ...facts,
      model: modelOver((file) => ({ location: externalLocation(folder, file) })),
      modelOver,
      weightsFolder: folder,
      weightFiles,
      ...omitUndefined({ widening: this.#widening(name, facts) }),
    };
  }

  #encode(name: string, node: readonly NodeProto[], initializer: readonly TensorProto[]): Uint8Array {
    return encodeModel({
      irVersion: IR_VERSION,
      producerName: 'text2img',
      opsetImport: [
        { domain: '', version: ONNX_OPSET },
        { domain: MICROSOFT_DOMAIN, version: 1 },
      ],
      graph: { name, node, initializer, input: this.#inputs, output: this.#outputs },
    });
  }

  /** Of graphs that compute in float32: other types are not made here. */
  #widening(
    name: string,
    facts: Omit<BuiltGraph, 'model' | 'modelOver' | 'weightsFolder' | 'weightFiles'>,
  ): Widening | undefined {
    const converters = new Set(this.#external.flatMap((weight) => weight.converters));
    if (this.graphType !== 'float32' || converters.size + this.#packed.size === 0) return undefined;
    const { tensors, bytes } = placeInOneFile(
      this.#external.map(({ place, valueName }) => ({ place, block: this.#packed.get(valueName)?.block })),
    );
    const unpacked = this.#nodes.filter((node) => !converters.has(node.name));
    return {
      tensors,
      bytes,
      graphOver: (file, form = 'packed') => {
        const { nodes, constants } = packProducts(unpacked, this.#packed, form);
        const modelOver = (placeOf: (file: string) => WeightFilePlace): Uint8Array => {
          const initializer = [...this.#initializers];
          for (const [k, { index, valueName }] of this.#external.entries()) {
            const { dims } = initializer[index] as TensorProto;
            const weight = { name: valueName, dims, packed: this.#packed.get(valueName) };
            const [first, ...others] = writtenTensors(weight, tensors[k] as (typeof tensors)[number], {
              file: placeOf(file),
              form,
            });
            initializer[index] = first;
            initializer.push(...others);
          }
          initializer.push(...constants);
          return this.#encode(name, nodes, initializer);
        };
        const model = modelOver(() => ({ location: basename(file) }));
        return { ...facts, model, modelOver, weightsFolder: dirname(file), weightFiles: [file] };
      },
    };
  }
}

function bytesOf({ shape, type }: Value): number {
  return shape.reduce((product, size) => product * size, ELEMENT_BYTES[type]);
}

function squeezed(shape: readonly number[]): string {
  return shape.filter((size) => size !== 1).join();
}
