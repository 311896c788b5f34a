/** The models that a request may name, and which one is meant where it names none. */
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { quote } from '../../lib/foreign-text.ts';
import { didYouMean } from '../../lib/nearest-name.ts';

export interface ModelChoice {
  /** Canonical; becomes `job.model`. */
  readonly id: string;
  /** The name in the request; undefined: it named none. */
  readonly asked: string | undefined;
}

export interface ListedModel {
  readonly id: string;
  readonly aliases: readonly string[];
  /** Seconds since 1970: when this server began to list it. */
  readonly created: number;
  readonly isDefault: boolean;
}

export interface ModelDirectory {
  /**
   * An absent name is the default model, and so are OpenAI's own names (`dall-e-3`, `gpt-image-1`), unless the server is strict.
   * @throws `model_not_found`
   */
  resolve(name: string | null | undefined): ModelChoice;
  /** The default model first. */
  list(): readonly ListedModel[];
}

/** A model as `--models` names it. */
export interface NamedModel {
  readonly id: string;
  readonly aliases: readonly string[];
}

export interface ModelNames {
  /** By the operator, the default first. Empty: what the workers have. */
  readonly named: readonly NamedModel[];
  /** Taken where nobody names one and no worker has reported its models. */
  readonly fallback: string;
  /** OpenAI's own names are unknown models. */
  readonly isStrict: boolean;
  /** Canonical ids that workers reported within a day, the last one first. */
  readonly ofWorkers: () => readonly string[];
  readonly nowMs: () => number;
}

/** Names of OpenAI's own models. Their users rarely know that another server answers. */
const OPENAI_NAME = /^(?:dall-e-|gpt-image-|chatgpt-image-)/;
const MOST_NAMED = 12;

export class NamedModels implements ModelDirectory {
  readonly #names: ModelNames;
  readonly #created: number;

  constructor(names: ModelNames) {
    this.#names = names;
    this.#created = Math.floor(names.nowMs() / 1000);
  }

  resolve(name: string | null | undefined): ModelChoice {
    const models = this.#models();
    const [first] = models;
    const byDefault = first?.id ?? this.#names.fallback;
    if (name === undefined || name === null || name === '') return { id: byDefault, asked: undefined };
    const found = models.find(({ id, aliases }) => id === name || aliases.includes(name));
    if (found !== undefined) return { id: found.id, asked: name };
    if (OPENAI_NAME.test(name) && !this.#names.isStrict) return { id: byDefault, asked: name };
    const known = models.flatMap(({ id, aliases }) => [id, ...aliases]);
    const shown = known.slice(0, MOST_NAMED).map((one) => quote(one));
    const more = known.length > MOST_NAMED ? ` and ${known.length - MOST_NAMED} more` : '';
    throw new Text2ImgError(
      'model_not_found',
      `The model ${quote(name)} is not served here.${didYouMean(name, known)} Served are ${shown.join(', ')}${more}.`,
    );
  }

  list(): readonly ListedModel[] {
    return this.#models().map((model, index) => ({ ...model, created: this.#created, isDefault: index === 0 }));
  }

  #models(): readonly NamedModel[] {
    const { named, fallback, ofWorkers } = this.#names;
    const reported = ofWorkers().filter((id) => !named.some((one) => one.id === id));
    const others = reported.map((id) => ({ id, aliases: [] }));
    const all = [...named, ...others];
    return all.length === 0 ? [{ id: fallback, aliases: [] }] : all;
  }
}
