/** The web UI's settings, as far as this door has them: the model, and a few that clients look for and cannot change. */
import { own } from '../../lib/foreign-record.ts';
import type { Body } from './body.ts';

/** Of all callers; the model is each caller's own. */
export const FIXED_SETTINGS: Body = {
  sd_checkpoint_hash: '',
  sd_vae: 'Automatic',
  CLIP_stop_at_last_layers: 1,
  samples_format: 'png',
  samples_save: true,
  enable_pnginfo: true,
  sd_lora: 'None',
  eta_noise_seed_delta: 0,
  s_churn: 0,
  s_noise: 1,
  live_previews_enable: true,
};

export const MODEL_SETTING = 'sd_model_checkpoint';

/** @returns the model that a body of `POST options` asks for; undefined: none */
export function askedModel(settings: Body): string | undefined {
  const asked = own(settings, MODEL_SETTING);
  return typeof asked === 'string' && asked !== '' ? asked : undefined;
}
