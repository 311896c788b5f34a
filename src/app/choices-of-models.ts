/** Deals `--vae`, `--preview-vae` and `--prediction-type` out among several models, by the names that `--models` gives them. */
import type { ModelEntry } from '../config/options/model-list.ts';
import { expandHome } from '../config/user-folders.ts';
import { Text2ImgError } from '../errors/text2img-error.ts';
import { quote } from '../lib/foreign-text.ts';
import { didYouMean } from '../lib/nearest-name.ts';
import type { ModelSettings } from './settings.ts';

type Choices = Pick<ModelSettings, 'vae' | 'previewVae' | 'predictionType'>;
interface Stated extends Choices, Pick<ModelSettings, 'environment'> {
  readonly models?: readonly ModelEntry[] | undefined;
}

/** Before the equals sign stands a name, where it is no path. */
const NAME = /^([^=/\\~]{1,100})=/;
const MOST_NAMED = 12;

/**
 * @param ids of the models, in the order of `--models` @returns the choices of one of them
 * @throws `conflicting_options` for a value without a name among several models; `invalid_option` for a name that is no model's, or comes twice
 */
export function choicesOfModels(stated: Stated, ids: readonly string[]): (id: string) => Choices {
  const { vae, previewVae, predictionType, models, environment } = stated;
  // One model that `--model` names, or nobody: all are about it.
  if (models === undefined) return () => ({ vae, previewVae, predictionType });
  const vaes = placesByModel('--vae', vae, { ids, environment });
  const previewVaes = placesByModel('--preview-vae', previewVae, { ids, environment });
  const types = typesByModel(predictionType, ids);
  return (id) => ({ vae: vaes.get(id), previewVae: previewVaes.get(id), predictionType: types.get(id) });
}

function placesByModel(
  option: string,
  value: string | undefined,
  { ids, environment }: Pick<Stated, 'environment'> & { readonly ids: readonly string[] },
): ReadonlyMap<string, string> {
  if (value === undefined) return new Map();
  const pieces = value.split(',').map((piece) => piece.trim());
  const named = pieces.map((piece) => namedPlace(piece, ids));
  const [only, ...more] = ids;
  // Of one model it may be a path with any sign in it.
  if (only !== undefined && more.length === 0 && named.includes(undefined)) return new Map([[only, value]]);
  const places = new Map<string, string>();
  for (const [index, one] of named.entries()) {
    const piece = pieces[index] ?? '';
    if (one === undefined) throw unnamed(option, piece, ids);
    if (one.place === '')
      throw new Text2ImgError('invalid_option', `${option} has no autoencoder behind ${quote(piece)}.`);
    if (places.has(one.id)) throw twice(option, one.id);
    places.set(one.id, expandHome(one.place, environment));
  }
  return places;
}

interface NamedPlace {
  readonly id: string;
  readonly place: string;
}

/** Of two names that fit the longer one: a name may have an equals sign in it. */
function namedPlace(piece: string, ids: readonly string[]): NamedPlace | undefined {
  const [id] = ids.filter((one) => piece.startsWith(`${one}=`)).toSorted((a, b) => b.length - a.length);
  return id === undefined ? undefined : { id, place: piece.slice(id.length + 1).trim() };
}

function typesByModel(
  types: Stated['predictionType'],
  ids: readonly string[],
): ReadonlyMap<string, Exclude<Stated['predictionType'], ReadonlyMap<string, unknown> | undefined>> {
  if (types === undefined) return new Map();
  if (typeof types !== 'string') {
    for (const name of types.keys()) if (!ids.includes(name)) throw unknown('--prediction-type', name, ids);
    return types;
  }
  const [only, ...more] = ids;
  if (only === undefined || more.length > 0) throw unnamed('--prediction-type', types, ids);
  return new Map([[only, types]]);
}

function unnamed(option: string, piece: string, ids: readonly string[]): Text2ImgError {
  const [, name] = NAME.exec(piece) ?? [];
  if (name !== undefined) return unknown(option, name, ids);
  return new Text2ImgError(
    'conflicting_options',
    `${option} ${quote(piece)} is for one model, and --models has ${ids.length}. Say which: ${option} ${ids[0] ?? 'name'}=${piece}`,
  );
}

function unknown(option: string, name: string, ids: readonly string[]): Text2ImgError {
  const shown = ids.slice(0, MOST_NAMED).map((id) => quote(id));
  const more = ids.length > MOST_NAMED ? ` and ${ids.length - MOST_NAMED} more` : '';
  return new Text2ImgError(
    'invalid_option',
    `${option} names the model ${quote(name)}, which --models does not have.${didYouMean(name, ids)} It has ${shown.join(', ')}${more}.`,
  );
}

function twice(option: string, id: string): Text2ImgError {
  return new Text2ImgError('invalid_option', `${option} names the model ${quote(id)} twice.`);
}
