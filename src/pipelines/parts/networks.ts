/**
 * A text encoder, a denoiser and a decoder as functions from tensors to tensors, without devices and files. A `signal` ends them with `cancelled`
 * where the runtime can.
 */

export interface TextEncoder {
  /** How many tokens a prompt has after padding. */
  readonly maxTokens: number;
  /** @param inputIds [B, maxTokens] @returns [B, maxTokens, D] */
  encode(inputIds: Int32Array, batch: number, signal?: AbortSignal): Promise<Float32Array>;
}

interface DenoiserInput {
  /** [B, C, h, w] */
  readonly sample: Float32Array;
  readonly shape: readonly [batch: number, channels: number, height: number, width: number];
  readonly timestep: number;
  /** [B, T, D] */
  readonly encoderHiddenStates: Float32Array;
  readonly signal?: AbortSignal;
}

export interface Denoiser {
  readonly latentChannels: number;
  /** @returns [B, C, h, w] */
  predict(input: DenoiserInput): Promise<Float32Array>;
}

export interface VaeDecoder {
  /** How many pixels one latent is wide and high: 2^(blocks − 1). */
  readonly scaleFactor: number;
  /** Latents are divided by this before they are decoded. */
  readonly scalingFactor: number;
  /** One image at a time, so that its pixels do not depend on the batch. @param latents [1, C, h, w] @returns [1, 3, H, W] in −1 … 1 */
  decode(
    latents: Float32Array,
    shape: readonly [channels: number, height: number, width: number],
    signal?: AbortSignal,
  ): Promise<Float32Array>;
}

export interface Networks {
  readonly textEncoder: TextEncoder;
  readonly denoiser: Denoiser;
  readonly vae: VaeDecoder;
}

/** The same networks in float32, each opened when it is first asked for. */
export interface FullPrecision {
  textEncoder(): Promise<TextEncoder>;
  denoiser(): Promise<Denoiser>;
  vae(): Promise<VaeDecoder>;
}
