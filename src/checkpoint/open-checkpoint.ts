/**
 * Opens a checkpoint: one file in the original layout, or a folder in the diffusers layout. Every configuration is read and checked, and every weight
 * file's header. Nothing is loaded yet.
 */
import { realpath, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { Text2ImgError } from '../errors/text2img-error.ts';
import { readConfig } from '../lib/config-rules.ts';
import { own } from '../lib/foreign-record.ts';
import { quote } from '../lib/foreign-text.ts';
import type { Checkpoint, CheckpointNetwork, CheckpointScheduler } from './checkpoint.ts';
import type { CheckpointChoices } from './checkpoint-choices.ts';
import type {
  CheckpointFamily,
  ComponentSpec,
  IgnoredSpec,
  NetworkSpec,
  SchedulerSpec,
  TokenizerSpec,
} from './component-spec.ts';
import { openComponentWeights } from './component-weights.ts';
import { type ComponentFiles, hasVariant } from './find-weight-files.ts';
import { readConfigFile } from './json-file.ts';
import {
  familyOf,
  type ModelIndex,
  networkClassOf,
  presentComponents,
  readModelIndex,
  tokenizerClassOf,
} from './model-index.ts';
import type { ReadTokenizer } from './read-tokenizer.ts';
import { openVae, type OpenVaeOptions, VAE } from './open-vae.ts';
import { openSingleFile } from './single-file/open-single-file.ts';
import { renamedWeights } from './weight-names.ts';

export interface OpenCheckpointOptions<F extends CheckpointFamily> extends CheckpointChoices {
  /** The families that the checkpoint may belong to. */
  readonly families: readonly F[];
  /** `fp16`: prefer weight files of this variant. */
  readonly variant?: string;
}

export type OpenedCheckpoint<F extends CheckpointFamily> = Checkpoint<F['components']> & { readonly family: F };

/**
 * @throws `model_not_found`, `invalid_model_index`, `unsupported_class`, `invalid_config`, `unsupported_config`, `unsafe_weights`,
 *   `invalid_safetensors`, `invalid_tokenizer`
 */
export async function openCheckpoint<F extends CheckpointFamily>(
  path: string,
  { families, variant, ...choices }: OpenCheckpointOptions<F>,
): Promise<OpenedCheckpoint<F>> {
  // Both casts: the type follows from the list, which TypeScript cannot see through the loop over it.
  if ((await stat(path).catch(() => undefined))?.isFile() === true) {
    const opened = await openSingleFile(path, { families, ...choices });
    const notes =
      variant === undefined ? [] : [`A single file has no variants, so ${quote(variant)} is not looked for.`];
    return { ...opened, warnings: [...notes, ...opened.warnings] } as unknown as OpenedCheckpoint<F>;
  }
  const index = await readModelIndex(path);
  const family = familyOf(index, families);
  const opening = new Opening(await realpath(path), index, family.components, { ...choices, families });
  return { ...(await opening.run(variant)), family } as unknown as OpenedCheckpoint<F>;
}

type OpeningChoices = CheckpointChoices & Pick<OpenVaeOptions, 'families'>;

/** One opening: collects warnings on its way. */
class Opening {
  readonly #folder: string;
  readonly #index: ModelIndex;
  readonly #components: readonly ComponentSpec[];
  readonly #choices: OpeningChoices;
  readonly #warnings: string[] = [];

  constructor(folder: string, index: ModelIndex, components: readonly ComponentSpec[], choices: OpeningChoices) {
    this.#choices = choices;
    this.#folder = folder;
    this.#index = index;
    this.#components = presentComponents(index, components);
  }

  async run(variant: string | undefined): Promise<Omit<Checkpoint, 'scheduler'> & { scheduler: unknown }> {
    this.#warnAboutIgnored();
    const specs = this.#components.filter((spec): spec is NetworkSpec => spec.kind === 'network');
    const inFolder = specs.filter(({ name }) => !this.#isReplaced(name));
    if (variant !== undefined) await this.#warnAboutVariant(inFolder, variant);
    const networks: Record<string, CheckpointNetwork> = {};
    for (const spec of specs) networks[spec.name] = await this.#network(spec, variant);
    const tokenizers: Record<string, ReadTokenizer> = {};
    for (const spec of this.#components)
      if (spec.kind === 'tokenizer') tokenizers[spec.name] = await this.#tokenizer(spec, networks);
    const scheduler = this.#components.find((spec): spec is SchedulerSpec => spec.kind === 'scheduler');
    return {
      folder: this.#folder,
      modelName: basename(this.#folder),
      index: this.#index,
      networks,
      tokenizers,
      scheduler: scheduler === undefined ? undefined : await this.#scheduler(scheduler),
      warnings: this.#warnings,
      details: [],
    };
  }

  #warnAboutIgnored(): void {
    const ignored = this.#components.filter((spec): spec is IgnoredSpec => spec.kind === 'ignored');
    for (const { name, warning } of ignored)
      if (warning !== undefined && own(this.#index.components, name) !== undefined) this.#warnings.push(warning);
  }

  #isReplaced(name: string): boolean {
    return name === VAE && this.#choices.vae !== undefined;
  }

  async #replacedVae(path: string, spec: NetworkSpec, variant: string | undefined): Promise<CheckpointNetwork> {
    const networkClass = networkClassOf(this.#index, spec);
    const configPath = join(this.#folder, spec.name, 'config.json');
    // It only says what the other one is compared with, so it may be missing or broken.
    const own = await readConfigFile(configPath)
      .then((json) => readConfig(networkClass, json, configPath).config)
      .catch(() => undefined);
    const { network, warnings } = await openVae(path, { spec, variant, own, families: this.#choices.families });
    this.#warnings.push(...warnings);
    return network;
  }

  async #network(spec: NetworkSpec, variant: string | undefined): Promise<CheckpointNetwork> {
    const { vae } = this.#choices;
    if (spec.name === VAE && vae !== undefined) return this.#replacedVae(vae, spec, variant);
    const networkClass = networkClassOf(this.#index, spec);
    const configPath = join(this.#folder, spec.name, 'config.json');
    const { config, warnings } = readConfig(networkClass, await readConfigFile(configPath), configPath);
    this.#warnings.push(...warnings);
    const files = this.#filesOf(spec);
    const stored = await openComponentWeights(variant === undefined ? files : { ...files, variant });
    return {
      networkClass,
      configPath,
      config,
      weights: renamedWeights(stored, (name) => networkClass.tensorName(name)),
    };
  }

  #tokenizer(spec: TokenizerSpec, networks: Readonly<Record<string, CheckpointNetwork>>): Promise<ReadTokenizer> {
    const encoder = own(networks, spec.encoder);
    return tokenizerClassOf(this.#index, spec).read(
      join(this.#folder, spec.name),
      encoder?.networkClass.maxTokens?.(encoder.config),
    );
  }

  async #scheduler(spec: SchedulerSpec): Promise<CheckpointScheduler> {
    const path = join(this.#folder, spec.name, 'scheduler_config.json');
    const json = await readConfigFile(path);
    // As in diffusers: the index decides. The scheduler's own file counts only if the index names no class.
    const className = own(this.#index.components, spec.name) ?? json['_class_name'];
    if (typeof className !== 'string')
      throw new Text2ImgError('invalid_config', `${path} names no class: "_class_name" is ${quote(className)}.`);
    const { predictionType } = this.#choices;
    const chosen = predictionType === undefined ? json : { ...json, prediction_type: predictionType };
    const { config, warnings } = spec.readConfig(className, chosen, path);
    this.#warnings.push(...warnings);
    return { className, config };
  }

  /**
   * Networks that lack the variant get their plain files, with a warning.
   * Source: diffusers pipelines/pipeline_utils.py, from_pretrained, which refuses a variant that no network has.
   * @throws `model_not_found`
   */
  async #warnAboutVariant(specs: readonly NetworkSpec[], variant: string): Promise<void> {
    const lacking: string[] = [];
    for (const spec of specs) if (!(await hasVariant(this.#filesOf(spec), variant))) lacking.push(spec.name);
    if (lacking.length === 0) return;
    if (lacking.length === specs.length)
      throw new Text2ImgError(
        'model_not_found',
        `no weight file of ${this.#folder} has the variant ${quote(variant)}; leave out --variant to use the files that are there.`,
      );
    this.#warnings.push(
      `There are no weights of the variant ${quote(variant)} for ${lacking.join(' and ')}; the plain ones are used.`,
    );
  }

  #filesOf(spec: NetworkSpec): ComponentFiles {
    const { weightsBaseName: baseName } = networkClassOf(this.#index, spec);
    return { component: spec.name, folder: join(this.#folder, spec.name), baseName };
  }
}
