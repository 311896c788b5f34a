/**
 * Opens a checkpoint that lies in one file in the original layout. Its tensors say which family it is and how it is configured. The weights are used
 * where they lie.
 */
import { realpath } from 'node:fs/promises';
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { readConfig } from '../../lib/config-rules.ts';
import { own } from '../../lib/foreign-record.ts';
import { countText } from '../../lib/count-text.ts';
import { quote } from '../../lib/foreign-text.ts';
import { omitUndefined } from '../../lib/omit-undefined.ts';
import type { Checkpoint, CheckpointNetwork, CheckpointScheduler } from '../checkpoint.ts';
import type { CheckpointChoices } from '../checkpoint-choices.ts';
import type { CheckpointFamily, NetworkSpec, SchedulerSpec, TokenizerSpec } from '../component-spec.ts';
import { familyOf, type ModelIndex, networkClassOf, parseModelIndex } from '../model-index.ts';
import { openVae, type OpenVaeOptions, VAE } from '../open-vae.ts';
import type { ReadTokenizer } from '../read-tokenizer.ts';
import { type FileTensors, readFileTensors } from './file-tensors.ts';
import { LDM_UNET_PREFIX } from './ldm-unet.ts';
import { mappedWeights } from './mapped-weights.ts';
import { refuseTensors, refuseUnknown } from './other-files.ts';
import { refuseFile } from './refusals.ts';
import { singleFileName } from './single-file-name.ts';
import type { SingleFileLayout, SingleFileModel } from './single-file-layout.ts';

export interface OpenSingleFileOptions<F extends CheckpointFamily> extends CheckpointChoices {
  readonly families: readonly F[];
}

/** The checkpoint without the types that follow from its family's list. */
type Opened<F> = Omit<Checkpoint, 'scheduler'> & { readonly scheduler: unknown; readonly family: F };

/** A single file as far as its tensors say. */
export interface RecognisedFile<F extends CheckpointFamily> {
  readonly tensors: FileTensors;
  readonly family: F;
  readonly layout: SingleFileLayout;
  readonly model: SingleFileModel;
  /** Names of the components that its family needs and the file lacks. */
  readonly missing: readonly string[];
}

/**
 * @throws `model_not_found`, `unsafe_weights`, `invalid_safetensors`, `unsupported_class` for a file that is something else, `unsupported_config`,
 *   `invalid_config`
 */
export async function openSingleFile<F extends CheckpointFamily>(
  path: string,
  options: OpenSingleFileOptions<F>,
): Promise<Opened<F>> {
  const { tensors, family, layout, model, missing: lacking } = await recogniseFile(path, options);
  const { vae } = options;
  const missing = lacking.filter((name) => name !== VAE || vae === undefined);
  if (missing.length > 0)
    throw new Text2ImgError('unsupported_class', `${path} is a checkpoint of ${layout.name} ${withoutParts(missing)}.`);
  const index = indexOf(path, layout, model);
  const { families } = options;
  const opening = new SingleFileOpening(tensors, index, { ...model, families, ...omitUndefined({ vae }) });
  return { ...(await opening.run(await realpath(path), familyOf(index, [family]))), family };
}

/** Reads its header only. @throws as `openSingleFile`, but not for a missing component */
export async function recogniseFile<F extends CheckpointFamily>(
  path: string,
  { families, ...choices }: OpenSingleFileOptions<F>,
): Promise<RecognisedFile<F>> {
  await refuseFile(path);
  const tensors = await readFileTensors(path);
  refuseTensors(tensors);
  const known = families.flatMap((family) => (family.singleFiles ?? []).map((layout) => ({ family, layout })));
  const found = known.find(({ layout }) => layout.recognise(tensors));
  if (found === undefined)
    throw refuseUnknown(
      tensors,
      known.map(({ layout }) => layout.name),
    );
  const model = found.layout.read(tensors, choices);
  const missing = found.family.components
    .filter((spec) => spec.kind === 'network' && !('optional' in spec) && own(model.networks, spec.name) === undefined)
    .map(({ name }) => name);
  return { ...found, tensors, model, missing };
}

/** The end of a sentence: what is missing, and what to do. */
function withoutParts(missing: readonly string[]): string {
  const [first] = missing;
  if (missing.length === 1 && first === 'vae') return 'without an autoencoder (vae); name one with --vae';
  return `without ${missing.join(' and ')}; a file that has all its networks is needed`;
}

/** Of a checkpoint without an autoencoder, for which another one is given. */
const GIVEN_VAE = { className: 'AutoencoderKL' };

/** As model_index.json would say it. */
function indexOf(path: string, { pipelineClass }: SingleFileLayout, model: SingleFileModel): ModelIndex {
  const components = Object.entries({
    [VAE]: GIVEN_VAE,
    ...model.networks,
    ...model.tokenizers,
    scheduler: model.scheduler,
  });
  const classes = components.map(([name, { className }]) => [name, ['', className]] as const);
  return parseModelIndex({ _class_name: pipelineClass, ...model.index, ...Object.fromEntries(classes) }, path);
}

type OpeningModel = SingleFileModel & Pick<CheckpointChoices, 'vae'> & Pick<OpenVaeOptions, 'families'>;

class SingleFileOpening {
  readonly #tensors: FileTensors;
  readonly #index: ModelIndex;
  readonly #model: OpeningModel;
  readonly #used = new Set<string>();
  readonly #warnings: string[];

  constructor(tensors: FileTensors, index: ModelIndex, model: OpeningModel) {
    this.#tensors = tensors;
    this.#index = index;
    this.#model = model;
    this.#warnings = [...model.warnings];
  }

  async run(folder: string, { components }: CheckpointFamily): Promise<Omit<Opened<never>, 'family'>> {
    const networks: Record<string, CheckpointNetwork> = {};
    const tokenizers: Record<string, ReadTokenizer> = {};
    let scheduler: CheckpointScheduler | undefined;
    for (const spec of components) if (spec.kind === 'network') await this.#network(spec, networks);
    for (const spec of components) {
      if (spec.kind === 'tokenizer') await this.#tokenizer(spec, networks, tokenizers);
      else if (spec.kind === 'scheduler') scheduler = this.#scheduler(spec);
    }
    this.#warnAboutUNet();
    return {
      folder,
      modelName: singleFileName(this.#tensors.path),
      index: this.#index,
      networks,
      tokenizers,
      scheduler,
      warnings: this.#warnings,
      details: this.#details(),
    };
  }

  async #network(spec: NetworkSpec, networks: Record<string, CheckpointNetwork>): Promise<void> {
    const network = own(this.#model.networks, spec.name);
    const { vae } = this.#model;
    if (spec.name === VAE && vae !== undefined) {
      networks[VAE] = await this.#givenVae(vae, spec);
      return;
    }
    if (network === undefined) return;
    const networkClass = networkClassOf(this.#index, spec);
    const { path } = this.#tensors;
    const { config, warnings } = readConfig(networkClass, network.json, path);
    const { weights, used } = await mappedWeights(this.#tensors, network.names, spec.name);
    for (const name of used) this.#used.add(name);
    this.#warnings.push(...warnings);
    networks[spec.name] = { networkClass, configPath: path, config, weights };
  }

  async #givenVae(path: string, spec: NetworkSpec): Promise<CheckpointNetwork> {
    const stored = own(this.#model.networks, spec.name);
    const networkClass = networkClassOf(this.#index, spec);
    const ownConfig =
      stored === undefined ? undefined : readConfig(networkClass, stored.json, this.#tensors.path).config;
    const { families } = this.#model;
    const { network, warnings } = await openVae(path, { spec, variant: undefined, own: ownConfig, families });
    this.#warnings.push(...warnings);
    return network;
  }

  async #tokenizer(
    spec: TokenizerSpec,
    networks: Readonly<Record<string, CheckpointNetwork>>,
    tokenizers: Record<string, ReadTokenizer>,
  ): Promise<void> {
    const encoder = own(networks, spec.encoder);
    const tokenizer = own(this.#model.tokenizers, spec.name);
    if (tokenizer === undefined) return;
    tokenizers[spec.name] = await tokenizer.read(encoder?.networkClass.maxTokens?.(encoder.config));
  }

  #scheduler(spec: SchedulerSpec): CheckpointScheduler {
    const { className, json } = this.#model.scheduler;
    // No warning about keys that the class lacks: the layout has them for another class that a request may ask for.
    const { config } = spec.readConfig(className, json, this.#tensors.path);
    return { className, config };
  }

  /** Tensors that nobody reads: an average of the weights, leftovers of training, of other tools. */
  #details(): readonly string[] {
    const ignored = this.#ignored();
    return ignored.length === 0 ? [] : [`${this.#tensors.path} has ${listed(ignored, 'that are not needed')}`];
  }

  /** A UNet with more weights than its graph reads is another one, and would generate other images. */
  #warnAboutUNet(): void {
    const extra = this.#ignored().filter((name) => name.startsWith(LDM_UNET_PREFIX) && !LEFTOVER.test(name));
    if (extra.length > 0)
      this.#warnings.push(
        `The UNet of the file has ${listed(extra, 'that no implemented UNet reads')} Its images may differ.`,
      );
  }

  #ignored(): readonly string[] {
    return [...this.#tensors.places.keys()].filter((name) => !this.#used.has(name) && !this.#tensors.isScale(name));
  }
}

/** Tensors of a UNet's modules that change nothing. */
const LEFTOVER = /lora_|\.alpha$|\.(?:scale_input|input_scale|comfy_quant)$/;

/** Number and first names. @param which completes "3 tensors …" */
function listed(names: readonly string[], which: string): string {
  const named = names.slice(0, 3).map((name) => quote(name, 80));
  const rest = names.length > named.length ? `, and ${names.length - named.length} more` : '';
  return `${countText(names.length, 'tensor', 'tensors')} ${which}: ${named.join(', ')}${rest}.`;
}
