/** Routes whose answers never change. Clients ask for these lists to fill their menus, and some stop where one is missing. */
import { SAMPLER_LIST, SCHEDULE_LIST } from './samplers.ts';

/** By path below `/sdapi/v1/`. An upscaler named `None` stands for the lists' first entry in the web UI. */
export const LISTS: Readonly<Record<string, object>> = {
  samplers: SAMPLER_LIST,
  schedulers: SCHEDULE_LIST,
  upscalers: [{ name: 'None', model_name: null, model_path: null, model_url: null, scale: 1 }],
  'latent-upscale-modes': [{ name: 'None' }],
  'sd-vae': [],
  loras: [],
  hypernetworks: [],
  'face-restorers': [],
  'realesrgan-models': [],
  'prompt-styles': [],
  'script-info': [],
  extensions: [],
  scripts: { txt2img: [], img2img: [] },
  embeddings: { loaded: {}, skipped: {} },
  memory: { ram: {}, cuda: {} },
  'cmd-flags': {},
};

/** `POST` routes that have nothing to do here, because workers load and unload models by themselves, and the other lists are always empty. */
export const NOTHING_TO_DO = [
  'refresh-checkpoints',
  'refresh-vae',
  'refresh-loras',
  'refresh-embeddings',
  'unload-checkpoint',
  'reload-checkpoint',
];
