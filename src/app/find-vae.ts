/** The autoencoder of `--vae`: the user's folder or file, or one of the hub by its name. */
import { hubName } from '../checkpoint/hub/hub-id.ts';
import { type FindModelOptions, placeNamed, pullModel } from './pull-model.ts';
import type { ModelSettings } from './settings.ts';

const COMPONENT = { name: 'vae', baseName: 'diffusion_pytorch_model' };
const ALLOWED =
  'Name a folder with an autoencoder in the diffusers layout, a .safetensors file, or one of the Hugging Face hub as owner/name or owner/name/file.safetensors.';

export interface FoundVae {
  /** Absolute; a folder or a file. */
  readonly path: string;
  /** In images. */
  readonly name: string;
}

/** Fetches what is missing. @returns undefined where the option is not given @throws `model_not_found`, and what fetching throws */
export async function findVae(settings: ModelSettings, options: FindModelOptions): Promise<FoundVae | undefined> {
  const place = await vaePlace(settings);
  if (place === undefined) return undefined;
  if ('folder' in place) return { path: place.folder, name: place.name };
  return { path: await pullModel(settings, place, { ...options, component: COMPONENT }), name: hubName(place) };
}

/** Asks nobody and downloads nothing. @throws `model_not_found` */
export async function checkVaeNames({ environment, vae, previewVae }: ModelSettings): Promise<void> {
  for (const name of [vae, previewVae]) await vaePlace({ environment, vae: name });
}

/** Where `--vae` leads: to a place on this machine, or to the hub. @throws `model_not_found` */
export async function vaePlace({
  vae,
  environment,
}: Pick<ModelSettings, 'vae' | 'environment'>): Promise<ReturnType<typeof placeNamed> | undefined> {
  return vae === undefined ? undefined : placeNamed(vae, { environment, what: 'The autoencoder', allowed: ALLOWED });
}
