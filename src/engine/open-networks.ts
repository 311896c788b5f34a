/** Opens a checkpoint's networks on a device: their graphs become the functions that the pipeline calls. */
import { availableParallelism } from 'node:os';
import type { Checkpoint } from '../checkpoint/open-checkpoint.ts';
import type { Denoiser, FullPrecision, Networks, TextEncoder, VaeDecoder } from '../pipelines/parts/networks.ts';
import { tiledVaeDecoder } from '../pipelines/parts/vae-tiling.ts';
import { Text2ImgError } from '../errors/text2img-error.ts';
import type { NetworkGraphs } from '../pipelines/stable-diffusion/prove-fit.ts';
import { openCachedSession } from '../runtime/compile-cache.ts';
import type { BuiltGraph } from '../onnx/graph.ts';
import type { ExecutionProvider, Session, Tensor } from '../runtime/contract.ts';
import type { EngineSettings } from './protocol.ts';

export interface NetworkOpenerOptions {
  readonly checkpoint: Checkpoint;
  readonly provider: ExecutionProvider;
  readonly settings: EngineSettings;
}

/** Closing it closes all that it opened. */
export class NetworkOpener implements AsyncDisposable {
  readonly #options: NetworkOpenerOptions;
  readonly #sessions = new AsyncDisposableStack();
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
    return {
      textEncoder: await this.#textEncoder(textEncoder),
      denoiser: await this.#denoiser(unet),
      vae: await this.#vae(vae),
    };
  }

  /** @param build makes the graphs in float32; called when the first network is asked for */
  openLater(build: () => NetworkGraphs): FullPrecision {
    const graphs = once(build);
    return {
      textEncoder: once(() => this.#textEncoder(graphs().textEncoder)),
      denoiser: once(() => this.#denoiser(graphs().unet)),
      vae: once(() => this.#vae(graphs().vae)),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#sessions.disposeAsync();
  }

  async #session(graph: BuiltGraph, spin: boolean): Promise<Session> {
    const { provider, settings } = this.#options;
    // ONNX Runtime's own choice is one thread per physical core, which leaves half of a small virtual machine idle.
    const threads = settings.threads === 0 ? availableParallelism() : settings.threads;
    const cache = {
      folder: settings.compileCacheFolder,
      verify: settings.verifyCache,
      onNote: (sentence: string) => void this.#notes.push(sentence),
    };
    return this.#sessions.use(await openCachedSession(graph, { provider, threads, spin }, cache));
  }

  async #textEncoder(graph: BuiltGraph): Promise<TextEncoder> {
    const session = await this.#session(graph, false);
    const { maxTokens } = this.#options.checkpoint.tokenizer;
    return {
      maxTokens,
      encode: (inputIds, batch) =>
        runForFloats(session, { input_ids: { data: inputIds, shape: [batch, maxTokens] } }, 'last_hidden_state'),
    };
  }

  async #denoiser(graph: BuiltGraph): Promise<Denoiser> {
    const session = await this.#session(graph, true);
    const { unet, textEncoder, tokenizer } = this.#options.checkpoint;
    const context = [tokenizer.maxTokens, textEncoder.config.hidden_size];
    return {
      latentChannels: unet.config.in_channels,
      predict: ({ sample, shape, timestep, encoderHiddenStates }) =>
        runForFloats(
          session,
          {
            sample: { data: sample, shape },
            timestep: { data: Float32Array.of(timestep), shape: [1] },
            encoder_hidden_states: { data: encoderHiddenStates, shape: [shape[0], ...context] },
          },
          'out_sample',
        ),
    };
  }

  async #vae(graph: BuiltGraph): Promise<VaeDecoder> {
    const session = await this.#session(graph, false);
    const { checkpoint, settings } = this.#options;
    const decoder: VaeDecoder = {
      scaleFactor: vaeScaleFactor(checkpoint),
      scalingFactor: checkpoint.vae.config.scaling_factor,
      decode: (latents, shape) =>
        runForFloats(session, { latent_sample: { data: latents, shape: [1, ...shape] } }, 'sample'),
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

async function runForFloats(
  session: Session,
  inputs: Readonly<Record<string, Tensor>>,
  output: string,
): Promise<Float32Array> {
  const { data } = (await session.run(inputs))[output] ?? {};
  if (data instanceof Float32Array) return data;
  throw new Text2ImgError('internal', `the network has no float32 output "${output}".`);
}
