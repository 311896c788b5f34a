/**
 * Which checkpoint to use: the user's folder or file, one of the hub by its id, or the small one that comes with the package. The hub's client is loaded
 * only where a model of the hub is asked for.
 */
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type HubId, hubName } from '../checkpoint/hub/hub-id.ts';
import { onlyPredictionType } from '../config/options/prediction-type.ts';
import type { EngineSettings } from '../engine/protocol.ts';
import { Text2ImgError } from '../errors/text2img-error.ts';
import { quote } from '../lib/foreign-text.ts';
import { omitUndefined } from '../lib/omit-undefined.ts';
import { type FoundVae, findVae } from './find-vae.ts';
import { type FindModelOptions, type NamedPlace, placeNamed, pullModel } from './pull-model.ts';
import type { ModelSettings } from './settings.ts';

/** Lies as far above `src/app/` as above `dist/app/`. */
const DEMO_MODEL = fileURLToPath(new URL('../../models/demo', import.meta.url));
const ALLOWED =
  'Name the folder of a checkpoint in the diffusers layout, a .safetensors file, or a model of the Hugging Face hub as owner/name or owner/name/file.safetensors.';

export interface ModelFolder extends NamedPlace {
  /** The autoencoder that replaces the checkpoint's own. */
  readonly vae?: FoundVae;
  /** The TAESD of previews. */
  readonly previewVae?: FoundVae;
  /** Absent: as the checkpoint says. */
  readonly predictionType?: EngineSettings['predictionType'];
  /** Why this one, where the user did not say. */
  readonly note?: string;
}

/** Fetches what is missing of a model of the hub. @throws `model_not_found`, and what fetching throws */
export async function findModel(settings: ModelSettings, options: FindModelOptions): Promise<ModelFolder> {
  const place = await modelPlace(settings);
  const vae = await findVae(settings, options);
  const previewVae = await findVae({ ...settings, vae: settings.previewVae }, options);
  const predictionType = onlyPredictionType(settings.predictionType);
  const beside = omitUndefined({ vae, previewVae, predictionType });
  if ('folder' in place) return { ...place, ...beside };
  const folder = await pullModel(settings, place, options).catch((error: unknown) => {
    throw withoutFile(error, place);
  });
  const note = settings.model === undefined ? 'the default model' : undefined;
  return { folder, name: hubName(place), ...beside, ...omitUndefined({ note }) };
}

/** A path that is mistyped looks like a name on the hub. */
function withoutFile(raw: unknown, place: HubId): Text2ImgError {
  const error = Text2ImgError.from(raw);
  if (error.code !== 'model_not_found' || place.file === undefined) return error;
  const sentence = `${error.message} There is no file ${quote(hubName(place))} on this machine either.`;
  return new Text2ImgError(error.code, sentence, { cause: error });
}

/** Asks nobody and downloads nothing. @throws `model_not_found` where the name is neither a folder, a file nor a name on the hub */
export async function modelPlace(settings: ModelSettings): Promise<ModelFolder | HubId> {
  const model = settings.model ?? settings.defaultModel;
  if (model === undefined)
    return { folder: DEMO_MODEL, name: basename(DEMO_MODEL), note: 'the demo checkpoint, since no --model was given' };
  const { environment } = settings;
  return placeNamed(model, { environment, what: 'The model', allowed: ALLOWED });
}
