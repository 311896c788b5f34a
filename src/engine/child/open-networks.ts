/** Opens a checkpoint's networks on a device: their graphs become the functions that the pipeline calls. */
import type { Checkpoint } from '../../checkpoint/open-checkpoint.ts';
import type { Denoiser, FullPrecision, Networks, TextEncoder, VaeDecoder } from '../../pipelines/parts/networks.ts';
import { tiledVaeDecoder } from '../../pipelines/parts/vae-tiling.ts';
import type { NetworkGraphs } from '../../pipelines/stable-diffusion/prove-fit.ts';
import type { BuiltGraph, ComputeType } from '../../onnx/graph.ts';
import type { ChosenDevice } from '../../runtime/choose-device.ts';
import type { Network, OpenOptions } from '../../runtime/contract.ts';
import { DEFAULT_RUNTIME } from '../../runtime/registry.ts';
import { float32, floatsOf, int32 } from '../../runtime/tensors.ts';
import type { EngineSettings } from '../protocol.ts';

export interface NetworkOpenerOptions {
  readonly checkpoint: Checkpoint;
  readonly device: Pick<ChosenDevice, 'device' | 'computeType'>;
  readonly settings: EngineSettings;
}

/** Closing it closes all that it opened. */
export class NetworkOpener implements AsyncDisposable {
  readonly #options: NetworkOpenerOptions;
  readonly #opened = new AsyncDisposableStack();
  readonly #notes: string[] = [];

  constructor(options: NetworkOpenerOptions) {
    this.#options = options;
  }

  /** What there is to tell about opening them; sentences for the log. */
  get notes(): readonly string[] {
    return this.#notes;
  }

  /** @throws `inference_failed`, `engine_out_of_memory` */
  async open({ textEncoder, unet, vae }: NetworkGraphs): Promise<Networks> {
    const { computeType } = this.#options.device;
    return {
      textEncoder: await this.#textEncoder(textEncoder, computeType),
      denoiser: await this.#denoiser(unet, computeType),
      vae: await this.#vae(vae, computeType),
    };
  }

  /** @param build makes the graphs in float32; called when the first network is asked for */
  openLater(build: () => NetworkGraphs): FullPrecision {
    const graphs = once(build);
    return {
      textEncoder: once(() => this.#textEncoder(graphs().textEncoder, 'float32')),
      denoiser: once(() => this.#denoiser(graphs().unet, 'float32')),
      vae: once(() => this.#vae(graphs().vae, 'float32')),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#opened.disposeAsync();
  }

  async #network(graph: BuiltGraph, options: Pick<OpenOptions, 'computeType' | 'use'>): Promise<Network> {
    const { device, settings } = this.#options;
    const network = await DEFAULT_RUNTIME.open(graph, {
      ...options,
      device: device.device,
      threads: settings.threads,
      cache: {
        folder: settings.compileCacheFolder,
        verify: settings.verifyCache,
        onNote: (sentence) => void this.#notes.push(sentence),
      },
    });
    return this.#opened.use(network);
  }

  async #textEncoder(graph: BuiltGraph, computeType: ComputeType): Promise<TextEncoder> {
    const network = await this.#network(graph, { computeType, use: 'once' });
    const { maxTokens } = this.#options.checkpoint.tokenizer;
    return {
      maxTokens,
      encode: async (inputIds, batch) =>
        floatsOf(await network.run({ input_ids: int32(inputIds, [batch, maxTokens]) }), 'last_hidden_state'),
    };
  }

  async #denoiser(graph: BuiltGraph, computeType: ComputeType): Promise<Denoiser> {
    const network = await this.#network(graph, { computeType, use: 'every-step' });
    const { unet, textEncoder, tokenizer } = this.#options.checkpoint;
    const context = [tokenizer.maxTokens, textEncoder.config.hidden_size];
    return {
      latentChannels: unet.config.in_channels,
      predict: async ({ sample, shape, timestep, encoderHiddenStates }) => {
        const outputs = await network.run({
          sample: float32(sample, shape),
          timestep: float32(Float32Array.of(timestep), [1]),
          encoder_hidden_states: float32(encoderHiddenStates, [shape[0], ...context]),
        });
        return floatsOf(outputs, 'out_sample');
      },
    };
  }

  async #vae(graph: BuiltGraph, computeType: ComputeType): Promise<VaeDecoder> {
    const network = await this.#network(graph, { computeType, use: 'once' });
    const { checkpoint, settings } = this.#options;
    const decoder: VaeDecoder = {
      scaleFactor: vaeScaleFactor(checkpoint),
      scalingFactor: checkpoint.vae.config.scaling_factor,
      decode: async (latents, shape) =>
        floatsOf(await network.run({ latent_sample: float32(latents, [1, ...shape]) }), 'sample'),
    };
    return settings.vaeTiling ? tiledVaeDecoder(decoder, vaeSampleSizePx(checkpoint)) : decoder;
  }
}

/** How many pixels one latent is wide and high. */
export function vaeScaleFactor({ vae }: Checkpoint): number {
  return 2 ** (vae.config.block_out_channels.length - 1);
}

/** The size of a tile. */
export function vaeSampleSizePx({ vae }: Checkpoint): number {
  const size = vae.config.sample_size;
  return Array.isArray(size) ? size[0] : size;
}

/** `make` the first time, its result from then on. */
function once<T>(make: () => T): () => T {
  let made: { readonly result: T } | undefined;
  return () => (made ??= { result: make() }).result;
}
