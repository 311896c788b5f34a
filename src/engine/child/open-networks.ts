/** Opens a checkpoint's networks on a device: their graphs become the functions that the pipeline calls. */
import type { StableDiffusionCheckpoint } from '../../pipelines/stable-diffusion/components.ts';
import type { Denoiser, FullPrecision, Networks, TextEncoder, VaeDecoder } from '../../pipelines/parts/networks.ts';
import { tiledVaeDecoder } from '../../pipelines/parts/vae-tiling.ts';
import type { NetworkGraphs } from '../../pipelines/prove-fit.ts';
import type { STABLE_DIFFUSION } from '../../pipelines/stable-diffusion/family.ts';
import type { BuiltGraph } from '../../onnx/graph.ts';
import type { Network, OpenOptions } from '../../runtime/contract.ts';
import { DEFAULT_RUNTIME } from '../../runtime/registry.ts';
import { float32, floatsOf, int32 } from '../../runtime/tensors.ts';
import type { EngineSettings } from '../protocol.ts';

type Graphs = NetworkGraphs<typeof STABLE_DIFFUSION>;

export interface NetworkOpenerOptions {
  readonly checkpoint: StableDiffusionCheckpoint;
  readonly device: string;
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
  async open({ text_encoder: textEncoder, unet, vae }: Graphs): Promise<Networks> {
    return {
      textEncoder: await this.#textEncoder(textEncoder),
      denoiser: await this.#denoiser(unet),
      vae: await this.#vae(vae),
    };
  }

  /** @param build makes the graphs in float32; called when the first network is asked for */
  openLater(build: () => Graphs): FullPrecision {
    const graphs = once(build);
    return {
      textEncoder: once(() => this.#textEncoder(graphs().text_encoder)),
      denoiser: once(() => this.#denoiser(graphs().unet)),
      vae: once(() => this.#vae(graphs().vae)),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#opened.disposeAsync();
  }

  async #network(graph: BuiltGraph, use: OpenOptions['use']): Promise<Network> {
    const { device, settings } = this.#options;
    const network = await DEFAULT_RUNTIME.open(graph, {
      use,
      computeType: graph.computeType,
      device,
      threads: settings.threads,
      cache: {
        folder: settings.compileCacheFolder,
        verify: settings.verifyCache,
        onNote: (sentence) => void this.#notes.push(sentence),
      },
    });
    return this.#opened.use(network);
  }

  async #textEncoder(graph: BuiltGraph): Promise<TextEncoder> {
    const network = await this.#network(graph, 'once');
    const { maxTokens } = this.#options.checkpoint.tokenizers.tokenizer;
    return {
      maxTokens,
      encode: async (inputIds, batch) =>
        floatsOf(await network.run({ input_ids: int32(inputIds, [batch, maxTokens]) }), 'last_hidden_state'),
    };
  }

  async #denoiser(graph: BuiltGraph): Promise<Denoiser> {
    const network = await this.#network(graph, 'every-step');
    const { networks, tokenizers } = this.#options.checkpoint;
    const context = [tokenizers.tokenizer.maxTokens, networks.text_encoder.config.hidden_size];
    return {
      latentChannels: networks.unet.config.in_channels,
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

  async #vae(graph: BuiltGraph): Promise<VaeDecoder> {
    const network = await this.#network(graph, 'once');
    const { checkpoint, settings } = this.#options;
    const decoder: VaeDecoder = {
      scaleFactor: vaeScaleFactor(checkpoint),
      scalingFactor: checkpoint.networks.vae.config.scaling_factor,
      decode: async (latents, shape) =>
        floatsOf(await network.run({ latent_sample: float32(latents, [1, ...shape]) }), 'sample'),
    };
    return settings.vaeTiling ? tiledVaeDecoder(decoder, vaeSampleSizePx(checkpoint)) : decoder;
  }
}

/** How many pixels one latent is wide and high. */
export function vaeScaleFactor({ networks }: StableDiffusionCheckpoint): number {
  return 2 ** (networks.vae.config.block_out_channels.length - 1);
}

/** The size of a tile. */
export function vaeSampleSizePx({ networks }: StableDiffusionCheckpoint): number {
  const size = networks.vae.config.sample_size;
  return Array.isArray(size) ? size[0] : size;
}

/** `make` the first time, its result from then on. */
function once<T>(make: () => T): () => T {
  let made: { readonly result: T } | undefined;
  return () => (made ??= { result: make() }).result;
}
