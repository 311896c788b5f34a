/** Opens a checkpoint's networks: they become the functions that the pipeline calls. */
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { float32, floatsOf, int32 } from '../../runtime/tensors.ts';
import { carriedSchedulerConfig } from '../../schedulers/scheduler-config.ts';
import type { CheckpointScheduler } from '../../schedulers/create-scheduler.ts';
import type { LoadTools, OpenNetworkOptions } from '../family.ts';
import { ClipTokenizer } from '../parts/clip-tokenizer.ts';
import type { Denoiser, TextEncoder, VaeDecoder } from '../parts/networks.ts';
import { nearestTileSize, tiledVaeDecoder } from '../parts/vae-tiling.ts';
import type { StableDiffusionCheckpoint } from './components.ts';
import { carriedSchedulerKeys, ownSchedulerConfig, vaeSampleSizePx, vaeScaleFactor } from './config-changes.ts';
import { StableDiffusionPipeline } from './stable-diffusion-pipeline.ts';

type Precision = Pick<OpenNetworkOptions, 'computeType'>;

/** @throws `unsupported_config` for tiling with an autoencoder whose tiles do not join, and all of `LoadTools.open` */
export async function loadStableDiffusion(
  checkpoint: StableDiffusionCheckpoint,
  tools: LoadTools,
): Promise<StableDiffusionPipeline> {
  if (tools.settings.vaeTiling) requireTiles(checkpoint);
  const tokenizer = new ClipTokenizer(checkpoint.tokenizers.tokenizer);
  const opener = new Opener(checkpoint, tools);
  const full: Precision = { computeType: 'float32' };
  return new StableDiffusionPipeline({
    textEncoder: await opener.textEncoder({}),
    denoiser: await opener.denoiser({}),
    vae: await opener.vae({}),
    ...(tools.settings.computeType === 'float32'
      ? {}
      : {
          fullPrecision: {
            textEncoder: () => opener.textEncoder(full),
            denoiser: () => opener.denoiser(full),
            vae: () => opener.vae(full),
          },
        }),
    tokenizer,
    scheduler: schedulerOf(checkpoint),
  });
}

class Opener {
  readonly #checkpoint: StableDiffusionCheckpoint;
  readonly #tools: LoadTools;

  constructor(checkpoint: StableDiffusionCheckpoint, tools: LoadTools) {
    this.#checkpoint = checkpoint;
    this.#tools = tools;
  }

  async textEncoder(precision: Precision): Promise<TextEncoder> {
    const network = await this.#tools.open('text_encoder', { use: 'once', ...precision });
    const { maxTokens } = this.#checkpoint.tokenizers.tokenizer;
    return {
      maxTokens,
      encode: async (inputIds, batch, signal) => {
        const inputs = { input_ids: int32(inputIds, [batch, maxTokens]) };
        return floatsOf(await network.run(inputs, { signal }), 'last_hidden_state');
      },
    };
  }

  async denoiser(precision: Precision): Promise<Denoiser> {
    const network = await this.#tools.open('unet', { use: 'every-step', ...precision });
    const { networks, tokenizers } = this.#checkpoint;
    const context = [tokenizers.tokenizer.maxTokens, networks.text_encoder.config.hidden_size];
    return {
      latentChannels: networks.unet.config.in_channels,
      predict: async ({ sample, shape, timestep, encoderHiddenStates, signal }) => {
        const inputs = {
          sample: float32(sample, shape),
          timestep: float32(Float32Array.of(timestep), [1]),
          encoder_hidden_states: float32(encoderHiddenStates, [shape[0], ...context]),
        };
        return floatsOf(await network.run(inputs, { signal }), 'out_sample');
      },
    };
  }

  async vae(precision: Precision): Promise<VaeDecoder> {
    const network = await this.#tools.open('vae', { use: 'once', ...precision });
    const { config } = this.#checkpoint.networks.vae;
    const decoder: VaeDecoder = {
      scaleFactor: vaeScaleFactor(config),
      scalingFactor: config.scaling_factor,
      decode: async (latents, shape, signal) =>
        floatsOf(await network.run({ latent_sample: float32(latents, [1, ...shape]) }, { signal }), 'sample'),
    };
    return this.#tools.settings.vaeTiling ? tiledVaeDecoder(decoder, vaeSampleSizePx(config)) : decoder;
  }
}

/** @throws `unsupported_config` for an autoencoder whose tiles do not join */
function requireTiles({ networks: { vae } }: StableDiffusionCheckpoint): void {
  const size = vaeSampleSizePx(vae.config);
  const nearest = nearestTileSize(size, vaeScaleFactor(vae.config));
  if (nearest === size) return;
  throw new Text2ImgError(
    'unsupported_config',
    `${vae.configPath}: "sample_size" is ${size}, and tiles of that size do not join, so --vae-tiling cannot be used; ` +
      `the nearest size that works is ${nearest}.`,
  );
}

function schedulerOf({ scheduler: { className: own, config } }: StableDiffusionCheckpoint): CheckpointScheduler {
  return {
    configFor: (scheduler) =>
      scheduler.className === own
        ? ownSchedulerConfig(config)
        : carriedSchedulerConfig(scheduler, carriedSchedulerKeys(config)),
  };
}
