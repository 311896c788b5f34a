/**
 * The model that a caller chose with `POST options`. It is kept in the queue's side data, so that every server knows it. A caller is an API key; where
 * the server asks for no keys, all callers are one.
 */
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { quote } from '../../lib/foreign-text.ts';
import type { Caller } from '../front/caller.ts';
import type { KeptSettings } from '../front/front.ts';
import type { ModelDirectory } from '../front/model-directory.ts';

interface ChosenModel {
  /** Canonical. */
  readonly id: string;
  readonly warnings: readonly string[];
}

export class DefaultModels {
  readonly #settings: KeptSettings;
  readonly #models: ModelDirectory;

  constructor(settings: KeptSettings, models: ModelDirectory) {
    this.#settings = settings;
    this.#models = models;
  }

  /** A model that was chosen and is no longer served counts as none: clients read the settings before each image and need an answer. */
  async of(caller: Caller): Promise<ChosenModel> {
    const kept = await this.#settings.get(settingOf(caller));
    if (typeof kept !== 'string') return this.#default();
    try {
      return { id: this.#models.resolve(kept).id, warnings: [] };
    } catch (error) {
      if (!(error instanceof Text2ImgError && error.code === 'model_not_found')) throw error;
      return this.#default(`The chosen model ${quote(kept)} is no longer served; the default model was used.`);
    }
  }

  /** @param name as the caller says it @returns warnings @throws `model_not_found` */
  async choose(caller: Caller, name: string): Promise<readonly string[]> {
    const { id } = this.#models.resolve(name);
    await this.#settings.set(settingOf(caller), id);
    if ((await this.of(caller)).id === id) return [];
    return ['The model could not be kept, because this server may not write its side data into the database.'];
  }

  #default(...warnings: readonly string[]): ChosenModel {
    return { id: this.#models.resolve(undefined).id, warnings };
  }
}

function settingOf({ key }: Caller): string {
  return `a1111-model:${key?.name ?? ''}`;
}
