/** Opens a checkpoint's networks and makes its pipeline. */
import { carriedSchedulerConfig } from '../../schedulers/scheduler-config.ts';
import type { CheckpointScheduler } from '../../schedulers/create-scheduler.ts';
import type { LoadTools } from '../family.ts';
import { ClipTokenizer } from '../parts/clip-tokenizer.ts';
import { LatentDiffusion } from '../parts/latent-diffusion.ts';
import { STABLE_DIFFUSION_RGB_FACTORS } from '../parts/latents-to-rgb.ts';
import { openLatentNetworks, openTextEncoder } from '../parts/open-networks.ts';
import type { StableDiffusionCheckpoint } from './components.ts';
import { carriedSchedulerKeys, ownSchedulerConfig } from './config-changes.ts';
import { stableDiffusionConditioner } from './conditioner.ts';

/** @throws `unsupported_config` for tiling with an autoencoder whose tiles do not join, and all of `LoadTools.open` */
export async function loadStableDiffusion(
  checkpoint: StableDiffusionCheckpoint,
  tools: LoadTools,
): Promise<LatentDiffusion> {
  const tokenizer = new ClipTokenizer(checkpoint.tokenizers.tokenizer);
  const encoder = await openTextEncoder({ component: 'text_encoder', maxTokens: tokenizer.maxTokens }, tools);
  return new LatentDiffusion({
    ...(await openLatentNetworks(checkpoint, tools)),
    conditioner: stableDiffusionConditioner({ tokenizer, ...encoder }),
    scheduler: schedulerOf(checkpoint),
    rgbFactors: STABLE_DIFFUSION_RGB_FACTORS,
  });
}

function schedulerOf({ scheduler: { className: own, config } }: StableDiffusionCheckpoint): CheckpointScheduler {
  return {
    configFor: (scheduler) =>
      scheduler.className === own
        ? ownSchedulerConfig(config)
        : carriedSchedulerConfig(scheduler, carriedSchedulerKeys(config)),
  };
}
