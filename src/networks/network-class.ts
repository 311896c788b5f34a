/**
 * The contract of a network class: the meaning of one class name in a checkpoint (`UNet2DConditionModel`). It covers the configuration, the weight
 * files, the precision and the graph. To add one: a file here, and its name in the component list of each family that has such a network.
 */
import type { ConfiguredClass } from '../lib/config-rules.ts';
import type { GraphStyle } from '../onnx/graph-form.ts';
import type { WeightType } from '../onnx/weight-type.ts';
import type { BuiltGraph, ComputeType } from '../onnx/graph.ts';
import type { Weights } from '../onnx/weights.ts';

/**
 * The sizes that a graph is written for, each with a default. `tokens` is fixed in the graph of a text encoder. The others only count arithmetic:
 * the graph runs at every size.
 */
export interface GraphSizes {
  readonly batch?: number;
  /** In latents. */
  readonly height?: number;
  /** In latents. */
  readonly width?: number;
  /** Of a prompt with start, end and padding. */
  readonly tokens?: number;
}

/** Which graph of a network is wanted. Two that differ in it are two graphs. */
export interface GraphChoice {
  /** A name of `moreGraphs`; absent: the graph that text-to-image needs. */
  readonly graph?: string;
  /** Of a UNet's graphs for feature caching: where the feature lies. An image needs both graphs of a branch by turns. */
  readonly branch?: number;
}

export interface NetworkBuild<C> extends GraphStyle {
  readonly config: C;
  /** Under today's names: `tensorName` has been applied. */
  readonly weights: Weights;
  /** As `NetworkClass.computeType` gave it. */
  readonly computeType: ComputeType;
  /** Of linear layers. A class that has no such form ignores it. Absent: floating-point numbers. */
  readonly weightType?: WeightType;
  readonly sizes?: GraphSizes;
  /** As in `GraphChoice`. */
  readonly branch?: number;
}

/**
 * `className` is the one of `model_index.json`. Methods, not properties: a list holds classes with different configurations, and hands each only its
 * own.
 */
export interface NetworkClass<C = unknown> extends ConfiguredClass<C> {
  /** The beginning of its weight files' names: transformers saves `model`, diffusers `diffusion_pytorch_model`. */
  readonly weightsBaseName: 'model' | 'diffusion_pytorch_model';
  /** The name that the graph asks for, for a name as it is stored: old savers used others. */
  tensorName(stored: string): string;
  /** The precision for a device that computes in `wanted`: some networks overflow in float16 and say so. */
  computeType(config: C, wanted: ComputeType): ComputeType;
  /** A text encoder's longest prompt in tokens, where the network itself has a limit. */
  maxTokens?(config: C): number;
  /** Reads no weights: the graph points at their places in the files. @throws `missing_tensor`, `wrong_tensor_shape` */
  build(options: NetworkBuild<C>): BuiltGraph;
  /** Other graphs of the same weights, such as an autoencoder's `encoder`. Built when opened, and proved only then: a checkpoint may lack their tensors. */
  readonly moreGraphs?: Readonly<Record<string, { build(options: NetworkBuild<C>): BuiltGraph }>>;
}
