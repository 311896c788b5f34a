/** Opens a checkpoint's networks and makes its pipeline. */
import type { CheckpointScheduler } from '../../schedulers/create-scheduler.ts';
import type { LoadTools } from '../family.ts';
import { checkpointScheduler } from '../parts/checkpoint-scheduler.ts';
import { ClipTokenizer } from '../parts/clip-tokenizer.ts';
import { LatentDiffusion } from '../parts/latent-diffusion.ts';
import { STABLE_DIFFUSION_RGB_FACTORS } from '../parts/latents-to-rgb.ts';
import { openLatentNetworks } from '../parts/open-networks.ts';
import { openTextEncoder } from '../parts/open-text-encoder.ts';
import { STABLE_DIFFUSION_LATENT_SCALE, type StableDiffusionCheckpoint } from './components.ts';
import { carriedSchedulerKeys, ownSchedulerConfig } from './config-changes.ts';
import { stableDiffusionConditioner } from './conditioner.ts';

/** @throws `unsupported_config` for tiling with an autoencoder whose tiles do not join, and all of `LoadTools.open` */
export async function loadStableDiffusion(
  checkpoint: StableDiffusionCheckpoint,
  tools: LoadTools,
): Promise<LatentDiffusion> {
  const changes = { own: ownSchedulerConfig, carried: carriedSchedulerKeys };
  return loadWithScheduler(checkpoint, tools, checkpointScheduler(checkpoint.scheduler, changes));
}

/** @throws as `loadStableDiffusion` */
export async function loadWithScheduler(
  checkpoint: StableDiffusionCheckpoint,
  tools: LoadTools,
  scheduler: CheckpointScheduler,
): Promise<LatentDiffusion> {
  const { text_encoder: network, unet } = checkpoint.networks;
  const tokenizer = new ClipTokenizer(checkpoint.tokenizers.tokenizer);
  const encoder = await openTextEncoder({ component: 'text_encoder', network, maxTokens: tokenizer.maxTokens }, tools);
  return new LatentDiffusion({
    ...(await openLatentNetworks(checkpoint, tools, {
      rgbFactors: STABLE_DIFFUSION_RGB_FACTORS,
      latentScale: STABLE_DIFFUSION_LATENT_SCALE,
    })),
    conditioner: stableDiffusionConditioner({ tokenizer, ...encoder }, unet.config.time_cond_proj_dim ?? null),
    scheduler,
  });
}
