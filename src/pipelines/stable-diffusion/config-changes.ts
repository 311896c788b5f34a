/**
 * StableDiffusionPipeline's changes to a checkpoint's configuration. The XL pipelines do none of it.
 * Source: diffusers pipelines/stable_diffusion/pipeline_stable_diffusion.py, StableDiffusionPipeline.__init__.
 */
import type { UNet2DConditionConfig } from '../../networks/unet-2d-condition-config.ts';
import { sampleSizeOf } from '../parts/sample-size.ts';

/**
 * Stable Diffusion's schedulers start one step later and never clip, even if an old file says otherwise or leaves it out. For the checkpoint's own
 * scheduler class, where a missing key would otherwise be the class's default.
 */
export function ownSchedulerConfig(json: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return { ...json, steps_offset: 1, clip_sample: false };
}

/** For any other class: only keys that stand in the file carry over, corrected. */
export function carriedSchedulerKeys(json: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const corrected = ownSchedulerConfig(json);
  return Object.fromEntries(Object.keys(json).map((key) => [key, corrected[key]]));
}

/** UNets saved before diffusers 0.9 say a size below 64 that was never meant. */
export function defaultSampleSize(config: UNet2DConditionConfig): ReturnType<typeof sampleSizeOf> {
  const { sample_size: size, _diffusers_version: version } = config;
  if (typeof size === 'number' && size < 64 && version !== undefined && isBefore090(version))
    return { height: 64, width: 64 };
  return sampleSizeOf(config, 64);
}

function isBefore090(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map((part) => Number.parseInt(part, 10));
  return major === 0 && minor < 9;
}
