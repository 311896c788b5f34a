/** The models of a worker, or of a server, under the names that requests and documents ask for. */
import { hubName } from '../checkpoint/hub/hub-id.ts';
import type { ModelEntry } from '../config/options/model-list.ts';
import { expandHome } from '../config/user-folders.ts';
import { Text2ImgError } from '../errors/text2img-error.ts';
import { quote } from '../lib/foreign-text.ts';
import { choicesOfModels } from './choices-of-models.ts';
import { modelPlace } from './find-model.ts';
import type { ModelSettings } from './settings.ts';

export interface ServedModel {
  /** Goes into `job.model`: the name before `=`, else the name on the hub, else that of the folder or the file. */
  readonly id: string;
  /** Other names that requests may use for it. No path: everybody who lists the models sees them. */
  readonly aliases: readonly string[];
  /** Finds it, and no other one. */
  readonly settings: ModelSettings;
}

/**
 * The default first. Asks nobody and downloads nothing.
 * @throws `model_not_found` for a name that is neither a folder, a file nor a name on the hub; `invalid_option` for two models of one name, and what
 *   `choicesOfModels` throws
 */
export async function servedModels(settings: ModelSettings): Promise<readonly [ServedModel, ...ServedModel[]]> {
  const { models = [], ...plain } = settings;
  const bare = { ...plain, vae: undefined, previewVae: undefined, predictionType: undefined };
  const [first, ...others] = await Promise.all(models.map((entry) => servedModel(bare, entry)));
  const all = first === undefined ? ([await servedModel(bare, undefined)] as const) : ([first, ...others] as const);
  const twice = all.find(({ id }, index) => all.findIndex((one) => one.id === id) !== index);
  if (twice === undefined) return withChoices(all, settings);
  throw new Text2ImgError(
    'invalid_option',
    `--models has two models called ${quote(twice.id)}; give one of them another name, as name=${twice.settings.model ?? ''}.`,
  );
}

function withChoices(
  models: readonly [ServedModel, ...ServedModel[]],
  settings: ModelSettings,
): readonly [ServedModel, ...ServedModel[]] {
  const choicesOf = choicesOfModels(
    settings,
    models.map(({ id }) => id),
  );
  const [first, ...others] = models;
  const chosen = (model: ServedModel): ServedModel => ({
    ...model,
    settings: { ...model.settings, ...choicesOf(model.id) },
  });
  return [chosen(first), ...others.map(chosen)];
}

async function servedModel(plain: ModelSettings, entry: ModelEntry | undefined): Promise<ServedModel> {
  const { environment } = plain;
  const settings = entry === undefined ? plain : { ...plain, model: expandHome(entry.place, environment) };
  const place = await modelPlace(settings);
  const own = 'folder' in place ? place.name : hubName(place);
  const id = entry?.alias ?? own;
  const asTyped = 'folder' in place || settings.model === undefined ? [] : [settings.model];
  const aliases = new Set([own, ...asTyped]);
  aliases.delete(id);
  return { id, aliases: [...aliases], settings };
}
