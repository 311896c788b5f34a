/**
 * A text encoder, a denoiser and a decoder as functions from numbers to numbers, without files. Only what the denoiser reads at every step may lie on a
 * device. A `signal` ends them with `cancelled` where the runtime can.
 */
import type { DeviceTensor, Tensors } from '../../runtime/contract.ts';
import type { LoadTools } from '../family.ts';
import type { LatentMemory } from './latent-memory.ts';

export interface EncodedText {
  /** [T, D] */
  readonly hiddenStates: Float32Array;
  /** [P], where the encoder has this output. */
  readonly pooled?: Float32Array;
}

export interface TextEncoder {
  /** How many tokens a prompt has after padding. */
  readonly maxTokens: number;
  readonly layers: number;
  /** @param inputIds [maxTokens] @param skippedLayers how many layers at the encoder's end are left out, fewer than it has */
  encode(inputIds: Int32Array, skippedLayers: number, signal?: AbortSignal): Promise<EncodedText>;
}

export interface DenoiserInput {
  /** [B, C, h, w] */
  readonly sample: Float32Array;
  readonly shape: readonly [batch: number, channels: number, height: number, width: number];
  readonly timestep: number;
  /** All other inputs by the names of the graph, [B, …] each. */
  readonly conditions: Tensors;
  readonly signal?: AbortSignal;
}

export interface Denoiser {
  readonly latentChannels: number;
  /** The largest that `caching` takes. */
  readonly largestBranch: number;
  readonly upload: LoadTools['upload'];
  /** @returns [B, C, h, w] */
  predict(input: DenoiserInput): Promise<Float32Array>;
  /** The network in two forms, opened when they are first asked for. @throws all of `LoadTools.open` */
  caching(branch: number): Promise<CachingDenoiser>;
}

interface WholePass {
  /** [B, C, h, w] */
  readonly noisePred: Float32Array;
  /** The result of the deep blocks, [B, F, h', w']. The caller disposes it. */
  readonly feature: DeviceTensor;
}

export interface CachingDenoiser {
  whole(input: DenoiserInput): Promise<WholePass>;
  /** @param input its conditions have an earlier pass's result as `feature` @returns [B, C, h, w] */
  shallow(input: DenoiserInput): Promise<Float32Array>;
}

export interface VaeDecoder {
  /** How many pixels one latent is wide and high: 2^(blocks − 1). */
  readonly scaleFactor: number;
  /** Latents are divided by this before they are decoded. */
  readonly scalingFactor: number;
  /** One number a latent channel. Latents were brought to mean 0 and deviation 1 with them. Absent: only scaled. */
  readonly statistics?: { readonly mean: readonly number[]; readonly deviation: readonly number[] };
  /** One image at a time, so that its pixels do not depend on the batch. @param latents [1, C, h, w] @returns [1, 3, H, W] in −1 … 1 */
  decode(
    latents: Float32Array,
    shape: readonly [channels: number, height: number, width: number],
    signal?: AbortSignal,
  ): Promise<Float32Array>;
  /** Itself, or itself in tiles where the whole image does not fit into memory, with the reason. Absent: always itself. */
  forMemory?(sizeLatents: readonly [height: number, width: number]): {
    readonly decoder: VaeDecoder;
    readonly reason?: string;
  };
}

export interface Networks {
  readonly denoiser: Denoiser;
  readonly vae: VaeDecoder;
  /** Absent: nobody knows what is free. */
  readonly memory?: LatentMemory;
}

/** The same networks in float32, each opened when it is first asked for. */
export interface FullPrecision {
  denoiser(): Promise<Denoiser>;
  /** Absent where the autoencoder computes in float32 anyway. */
  readonly vae?: () => Promise<VaeDecoder>;
}
