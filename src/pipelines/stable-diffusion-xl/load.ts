/** Opens a checkpoint's networks and makes its pipeline. */
import { pooledFeatures } from '../../networks/unet-2d-condition-config.ts';
import { omitUndefined } from '../../lib/omit-undefined.ts';
import type { LoadTools } from '../family.ts';
import { checkpointScheduler } from '../parts/checkpoint-scheduler.ts';
import { ClipTokenizer } from '../parts/clip-tokenizer.ts';
import { LatentDiffusion } from '../parts/latent-diffusion.ts';
import { STABLE_DIFFUSION_XL_RGB_FACTORS } from '../parts/latents-to-rgb.ts';
import type { VaeDecoder } from '../parts/networks.ts';
import type { VaeConfig } from '../parts/vae-sizes.ts';
import { openLatentNetworks } from '../parts/open-networks.ts';
import { openInnerTextEncoder, openPooledTextEncoder } from '../parts/open-text-encoder.ts';
import { STABLE_DIFFUSION_XL_LATENT_SCALE, type StableDiffusionXlCheckpoint } from './components.ts';
import { xlConditioner } from './conditioner.ts';
import { forcesZeros } from './settings.ts';

/** @throws `unsupported_config` for tiling with an autoencoder whose tiles do not join, and all of `LoadTools.open` */
export async function loadStableDiffusionXl(
  checkpoint: StableDiffusionXlCheckpoint,
  tools: LoadTools,
): Promise<LatentDiffusion> {
  const { networks, tokenizers, index, scheduler } = checkpoint;
  const { text_encoder: network, text_encoder_2: secondNetwork, unet, vae } = networks;
  const tokenizer = new ClipTokenizer(tokenizers.tokenizer);
  const secondTokenizer = new ClipTokenizer(tokenizers.tokenizer_2);
  const { maxTokens } = tokenizer;
  const first = await openInnerTextEncoder({ component: 'text_encoder', network, maxTokens }, tools);
  const second = await openPooledTextEncoder({ component: 'text_encoder_2', network: secondNetwork, maxTokens }, tools);
  return new LatentDiffusion({
    ...(await openLatentNetworks(checkpoint, tools, vaeOptions(vae.config, tools.settings))),
    conditioner: xlConditioner({
      first: { tokenizer, ...first },
      second: { tokenizer: secondTokenizer, ...second },
      zerosWithoutNegative: forcesZeros(index),
      readsSizes: pooledFeatures(unet.config) !== undefined,
      guidanceFeatures: unet.config.time_cond_proj_dim ?? null,
    }),
    scheduler: checkpointScheduler(scheduler),
  });
}

/**
 * The XL pipelines read `force_upcast`, whose default in diffusers is true, and the statistics of the latents. Like diffusers, they upcast from float16
 * only: bfloat16 has the exponents of float32.
 */
function vaeOptions(
  { force_upcast: stated, latents_mean: mean, latents_std: deviation }: VaeConfig,
  { computeType }: Pick<LoadTools['settings'], 'computeType'>,
) {
  const vaeStatistics: VaeDecoder['statistics'] = mean && deviation ? { mean, deviation } : undefined;
  return {
    rgbFactors: STABLE_DIFFUSION_XL_RGB_FACTORS,
    latentScale: STABLE_DIFFUSION_XL_LATENT_SCALE,
    ...omitUndefined({ vaeStatistics }),
    vaePrecision: (stated ?? true) && computeType === 'float16' ? ({ computeType: 'float32' } as const) : {},
  };
}
