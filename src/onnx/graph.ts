/**
 * Writes an ONNX graph node by node. The layers in `networks/layers/` are made of the operators here; weights are not copied but
 * referred to where they lie in the safetensors files.
 *
 * A value's `shape` is the one it has at the builder's nominal sizes of batch, height and width. It serves to count
 * arithmetic and to check weights; the graph itself stays free of it, so one graph runs at every size.
 */
import type { ComputeType } from './compute-type.ts';
import { type ComputedNode, peakActivationBytes } from './activations.ts';
import { omitUndefined } from '../lib/omit-undefined.ts';
import type { BuiltGraph, Widening } from './built-graph.ts';
import { commonFolder, externalLocation } from './external-files.ts';
import { bytesOfOne, type PackedProduct, packedProduct } from './eight-bit-weights.ts';
import { fusedFunctions } from './fused-functions.ts';
import { type FusedDomain, type GraphForm, type GraphStyle, MICROSOFT_DOMAIN } from './graph-form.ts';
import { FIRST, inheritedLayout, LAST, type Layout, needsChannelsLast } from './layout.ts';
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
import { type PlacedWeight, widenedGraph } from './widened-graph.ts';
import { elementsOf } from './widening.ts';
import { storedWeight } from './stored-weights.ts';
import type { Weights } from './weights.ts';
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
  readonly layout?: Layout;
}

export type { BuiltGraph, ComputeType, Dimension, GraphForm, WeightType, Widening };

/** The types that a graph is written in. */
export type GraphType = 'float32' | 'float16';

export function graphTypeOf(computeType: ComputeType): GraphType {
  return computeType === 'float16' ? 'float16' : 'float32';
}

const ONNX_OPSET = 20;
const IR_VERSION = 9;

export interface NodeOptions {
  readonly attributes?: Readonly<Record<string, Attribute>>;
  /** Attributes that are floats even when their value is whole. */
  readonly floats?: Readonly<Record<string, number>>;
  readonly microsoft?: boolean;
  /** An operator of the fused form. */
  readonly fused?: true;
  /** As the result is known to the layers: batch, channels, height, width. */
  readonly shape: readonly number[];
  /** Of the result in memory; absent: as its inputs. */
  readonly layout?: Layout | 'channels-first';
  readonly type?: ElementType;
  /** Memory that it needs beside its inputs and results while it runs, at the nominal sizes. */
  readonly workspaceBytes?: number;
}

export interface BuilderOptions extends GraphStyle {
  /** Of the products that `mayPack` names; default: floating-point numbers. */
  readonly weightType?: WeightType | undefined;
}

interface WeightForm {
  /** Default: the graph's. */
  readonly type?: GraphType;
  /** A convolution's weight [out, in, height, width] as [out, height, width, in]. */
  readonly channelsLast?: true;
}

export class GraphBuilder {
  /** The type of weights and arithmetic in the graph. */
  readonly graphType: GraphType;
  readonly form: GraphForm;
  readonly #fusedDomain: FusedDomain;
  readonly #computeType: ComputeType;
  readonly weights: Weights;
  readonly #nodes: NodeProto[] = [];
  readonly #computed: ComputedNode[] = [];
  readonly #initializers: TensorProto[] = [];
  readonly #external: PlacedWeight[] = [];
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

  constructor(weights: Weights, computeType: ComputeType, options: BuilderOptions = {}) {
    const { weightType = 'float', form = 'portable', fusedDomain = MICROSOFT_DOMAIN } = options;
    this.weights = weights;
    this.#computeType = computeType;
    this.#weightType = weightType;
    this.graphType = graphTypeOf(computeType);
    this.form = form;
    this.#fusedDomain = fusedDomain;
  }

  input(name: string, type: ElementType, dimensions: readonly Dimension[], nominal: readonly number[]): Value {
    this.#inputs.push(valueInfo(name, type, dimensions));
    return { name, type, shape: nominal };
  }

  output(name: string, value: Value, dimensions: readonly Dimension[]): void {
    const result = this.cast(this.channelsFirst(value), 'float32');
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

  /** Adds one operator with several results, all of one type. A result of undefined shape is left out, and has no name. */
  nodes(
    opType: string,
    inputs: readonly (Value | undefined)[],
    options: NodeOptions,
    shapes: readonly (readonly number[] | undefined)[],
  ): Value[] {
    const name = `${opType}_${this.#counter++}`;
    const type = options.type ?? inputs[0]?.type ?? 'float32';
    const layout = inheritedLayout(inputs, options.layout);
    const results = shapes.map((shape, index) => ({
      name: shape === undefined ? '' : index === 0 ? name : `${name}:${index}`,
      type,
      shape: shape ?? [],
      ...(shape?.length === 4 ? layout : {}),
    }));
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
      domain: options.fused ? this.#fusedDomain : options.microsoft === true ? MICROSOFT_DOMAIN : '',
      attribute: attributes,
    });
    this.#computed.push({
      opType,
      inputs: inputs.map((input) => input?.name ?? ''),
      results: results
        .filter(({ name: named }) => named !== '')
        .map((result) => ({ name: result.name, bytes: bytesOf(result) })),
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

  /** A feature map with its channels last in memory. */
  channelsLast(x: Value): Value {
    if (x.layout !== undefined) return x;
    return this.node('Transpose', [x], { attributes: { perm: LAST }, shape: x.shape, layout: 'channels-last' });
  }

  channelsFirst(x: Value): Value {
    if (x.layout === undefined) return x;
    return this.node('Transpose', [x], { attributes: { perm: FIRST }, shape: x.shape, layout: 'channels-first' });
  }

  /** Values that an operator combines element by element, or puts behind each other, all in one layout. */
  inOneLayout(values: readonly Value[]): readonly Value[] {
    if (!needsChannelsLast(values)) return values;
    return values.map((value) => (value.shape.length === 4 ? this.channelsLast(value) : value));
  }

  /**
   * The tensor `name` of the component's weights in the compute type. The configuration asks for `shape`. A stored tensor that differs only by
   * dimensions of 1 (a linear layer saved as a 1×1 convolution) is accepted. A matrix that the file has the other way round has the file's shape here.
   * A name is asked for in one form only.
   * @throws `missing_tensor`, `wrong_tensor_shape`
   */
  weight(name: string, shape: readonly number[], form: WeightForm = {}): Value {
    const known = this.#weightValues.get(name);
    if (known !== undefined) return known;
    const { place, type, shape: asked } = storedWeight(this.weights, name, shape);
    const { type: wanted = this.graphType, channelsLast = false } = form;
    const last = channelsLast ? LAST.map((axis) => asked[axis] as number) : asked;
    // Of a 1×1 kernel both orders are the same bytes.
    const isPermuted = channelsLast && asked.slice(2).some((size) => size !== 1);
    const tensor = { name, dims: isPermuted ? asked : last, dataType: ELEMENT_TYPES[type] };
    const index = this.#initializers.length;
    const inline = this.weights.smallTensor(name);
    this.#initializers.push(inline === undefined ? tensor : { ...tensor, rawData: inline });
    const firstNode = this.#nodes.length;
    const stored: Value = { name, type, shape: tensor.dims };
    const cast = this.cast(place.scale === undefined ? stored : this.#scaled(stored, place.scale), wanted);
    const value = isPermuted ? this.node('Transpose', [cast], { attributes: { perm: LAST }, shape: last }) : cast;
    const converters = this.#nodes.slice(firstNode).map((node) => node.name);
    if (inline === undefined) {
      const permuted = isPermuted ? { convolution: asked } : {};
      this.#external.push({
        index,
        place,
        valueName: value.name,
        dims: value.shape,
        type: wanted,
        converters,
        ...permuted,
      });
    }
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
      ...(this.form === 'fused' ? { form: this.form } : {}),
      ...(this.form === 'fused' && this.#fusedDomain === MICROSOFT_DOMAIN ? { isForCuda: true as const } : {}),
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
    const widenable = {
      external: this.#external,
      initializers: this.#initializers,
      nodes: this.#nodes,
      packed: this.#packed,
      facts,
      encode: (nodes: readonly NodeProto[], initializers: readonly TensorProto[]) =>
        this.#encode(name, nodes, initializers),
    };
    const extent = this.form === 'fused' ? 'converted' : 'all';
    return {
      ...facts,
      model: modelOver((file) => ({ location: externalLocation(folder, file) })),
      modelOver,
      weightsFolder: folder,
      weightFiles,
      ...omitUndefined({ widening: this.#isWidenable() ? widenedGraph(widenable, extent) : undefined }),
    };
  }

  /** Weights of a portable graph in float16 are cast by the runtime. */
  #isWidenable(): boolean {
    return this.form === 'fused' || this.graphType === 'float32';
  }

  #encode(name: string, node: readonly NodeProto[], initializer: readonly TensorProto[]): Uint8Array {
    const spelledOut = this.#fusedDomain === MICROSOFT_DOMAIN ? [] : fusedFunctions(this.#fusedDomain, ONNX_OPSET);
    return encodeModel({
      irVersion: IR_VERSION,
      producerName: 'text2img',
      opsetImport: [
        { domain: '', version: ONNX_OPSET },
        { domain: MICROSOFT_DOMAIN, version: 1 },
        ...(spelledOut.length === 0 ? [] : [{ domain: this.#fusedDomain, version: 1 }]),
      ],
      graph: { name, node, initializer, input: this.#inputs, output: this.#outputs },
      ...(spelledOut.length === 0 ? {} : { functions: spelledOut }),
    });
  }
}

function bytesOf({ shape, type }: Value): number {
  return shape.reduce((product, size) => product * size, ELEMENT_BYTES[type]);
}
