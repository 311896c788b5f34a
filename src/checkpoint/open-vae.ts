/**
 * Opens an autoencoder that the operator names beside the checkpoint. It is its folder, the folder of a checkpoint that has one, or a file. A file may
 * have the diffusers layout, the original layout, or be TAESD.
 */
import { existsSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Text2ImgError } from '../errors/text2img-error.ts';
import { readConfig } from '../lib/config-rules.ts';
import { isRecord, own } from '../lib/foreign-record.ts';
import { quote } from '../lib/foreign-text.ts';
import { AUTOENCODER_TINY } from '../networks/autoencoder-tiny.ts';
import type { AutoencoderTinyConfig } from '../networks/autoencoder-tiny-config.ts';
import type { NetworkClass } from '../networks/network-class.ts';
import type { CheckpointNetwork } from './checkpoint.ts';
import type { CheckpointFamily, NetworkSpec } from './component-spec.ts';
import { loadSmallTensors, openComponentWeights } from './component-weights.ts';
import { readConfigFile } from './json-file.ts';
import { type FileTensors, readFileTensors } from './single-file/file-tensors.ts';
import { hasLdmVae, readLdmVae } from './single-file/ldm-vae.ts';
import { mappedWeights } from './single-file/mapped-weights.ts';
import { refuseFile } from './single-file/refusals.ts';
import type { SingleFileNetwork } from './single-file/single-file-layout.ts';
import { renamedWeights } from './weight-names.ts';

/** The component's name in every family that has one. */
export const VAE = 'vae';
/** Beside the family's own components: the TAESD of previews. */
export const PREVIEW_VAE = 'preview_vae';

export interface OpenVaeOptions {
  readonly spec: NetworkSpec;
  /** Of a folder's weight files. */
  readonly variant: string | undefined;
  /** The checkpoint's own configuration: a file says none, and its tensors not all of it. Undefined: the checkpoint has no autoencoder. */
  readonly own: unknown;
  /** A whole checkpoint of one file belongs to one of them, which says what its tensors do not. */
  readonly families: readonly CheckpointFamily[];
}

export interface OpenedVae {
  readonly network: CheckpointNetwork;
  /** Sentences for the log. */
  readonly warnings: readonly string[];
}

/**
 * @param path a folder or a file
 * @throws `model_not_found`, `unsupported_class`, `invalid_config`, `unsupported_config`, `unsafe_weights`, `invalid_safetensors`
 */
export async function openVae(path: string, options: OpenVaeOptions): Promise<OpenedVae> {
  const facts = await stat(path).catch(() => undefined);
  if (facts === undefined)
    throw new Text2ImgError('model_not_found', `there is no folder or file ${quote(path)} with an autoencoder.`);
  const opened = facts.isDirectory() ? await openFolder(path, options) : await openFile(path, options);
  const contradiction = scalingWarning(opened.network, options);
  return contradiction === undefined ? opened : { ...opened, warnings: [...opened.warnings, contradiction] };
}

async function openFolder(path: string, { spec, variant }: OpenVaeOptions): Promise<OpenedVae> {
  const isAlone = existsSync(join(path, 'config.json')) || !existsSync(join(path, spec.name));
  const folder = isAlone ? path : join(path, spec.name);
  const configPath = join(folder, 'config.json');
  const json = await readConfigFile(configPath);
  const networkClass = classOf(spec, own(json, '_class_name'), configPath);
  const { config, warnings } = readConfig(networkClass, json, configPath);
  const files = { component: spec.name, folder, baseName: networkClass.weightsBaseName };
  const stored = await openComponentWeights(variant === undefined ? files : { ...files, variant });
  const weights = renamedWeights(stored, (name) => networkClass.tensorName(name));
  return { network: { networkClass, configPath, config, weights }, warnings };
}

/** @throws `unsupported_class` */
function classOf({ classes, name }: NetworkSpec, className: unknown, where: string): NetworkClass {
  const found = classes.find((networkClass) => networkClass.className === className);
  if (found !== undefined) return found;
  throw new Text2ImgError(
    'unsupported_class',
    `${where}: the ${name} class ${quote(className)} is not implemented; allowed: ${classes.map((one) => one.className).join(', ')}.`,
  );
}

async function openFile(path: string, options: OpenVaeOptions): Promise<OpenedVae> {
  await refuseFile(path);
  const tensors = await readFileTensors(path);
  const { spec } = options;
  const layout = options.families.flatMap(({ singleFiles = [] }) => singleFiles).find((one) => one.recognise(tensors));
  const ofCheckpoint = layout?.readVae(tensors);
  if (ofCheckpoint !== undefined) return openLdmFile(tensors, ofCheckpoint, options);
  for (const prefix of ['first_stage_model.', ''])
    if (hasLdmVae(tensors, prefix))
      return openLdmFile(tensors, readLdmVae(tensors, untoldFacts(options), prefix), options);
  if (isTaesd(tensors)) return openNamedFile(tensors, classOf(spec, 'AutoencoderTiny', path), taesdJson(tensors));
  if (tensors.hasModule('decoder.up_blocks.0'))
    return openNamedFile(tensors, classOf(spec, 'AutoencoderKL', path), diffusersJson(tensors, options));
  throw new Text2ImgError(
    'unsupported_class',
    `${path} has no autoencoder (VAE) that is known; allowed are files of AutoencoderKL in the diffusers or the original layout, and of TAESD.`,
  );
}

/**
 * The TAESD of previews. Any other autoencoder would take too long.
 * @param path a folder or a file @throws as `openVae`; `unsupported_class` for another autoencoder
 */
export async function openPreviewVae(
  path: string,
  families: readonly CheckpointFamily[],
): Promise<CheckpointNetwork<AutoencoderTinyConfig>> {
  const spec: NetworkSpec = { kind: 'network', name: VAE, classes: [AUTOENCODER_TINY] };
  const { network } = await openVae(path, { spec, variant: undefined, own: undefined, families }).catch(
    (raw: unknown) => {
      const { code, message } = Text2ImgError.from(raw);
      throw new Text2ImgError(code, `--preview-vae needs a TAESD: ${message}`, { cause: raw });
    },
  );
  // Its class is the only one of the list.
  return network as CheckpointNetwork<AutoencoderTinyConfig>;
}

/** Facts that no tensor says: as the checkpoint's own autoencoder has them, else as its family has them. */
const UNTOLD = ['scaling_factor', 'sample_size', 'force_upcast', 'latents_mean', 'latents_std', 'norm_num_groups'];

function untoldFacts({ spec, own: ownConfig }: OpenVaeOptions): Readonly<Record<string, unknown>> {
  const known = isRecord(ownConfig) && isLarge(ownConfig) ? ownConfig : {};
  const stated = Object.entries(known).filter(([key, value]) => UNTOLD.includes(key) && value !== undefined);
  return { ...spec.untold, ...Object.fromEntries(stated) };
}

async function openLdmFile(
  tensors: FileTensors,
  { className, json, names }: SingleFileNetwork,
  { spec }: OpenVaeOptions,
): Promise<OpenedVae> {
  const networkClass = classOf(spec, className, tensors.path);
  const { config, warnings } = readConfig(networkClass, json, tensors.path);
  const { weights } = await mappedWeights(tensors, names, spec.name);
  return { network: { networkClass, configPath: tensors.path, config, weights }, warnings };
}

/** @param json its configuration, read off the tensors */
async function openNamedFile(
  tensors: FileTensors,
  networkClass: NetworkClass,
  json: Readonly<Record<string, unknown>>,
): Promise<OpenedVae> {
  const { path, places } = tensors;
  const { config, warnings } = readConfig(networkClass, json, path);
  const source = { component: VAE, where: path, storedName: (name: string) => name };
  const stored = await loadSmallTensors(source, places);
  const weights = renamedWeights(stored, (name) => networkClass.tensorName(name.replace(TAESD_PREFIX, '')));
  return { network: { networkClass, configPath: path, config, weights }, warnings };
}

const TAESD_STAGES = 4;
/** Of files that hold both halves of TAESD. */
const TAESD_PREFIX = /^taesd_decoder\./;

/** In diffusers' layout, or its own decoder file. */
function isTaesd(tensors: FileTensors): boolean {
  const isOwn = tensors.has('1.weight') && tensors.has('3.conv.0.weight');
  return isOwn || tensors.hasModule('decoder.layers') || tensors.hasModule('taesd_decoder');
}

/** TAESD's configuration: its first layer says how wide it is. */
function taesdJson(tensors: FileTensors): Readonly<Record<string, unknown>> {
  const first = ['decoder.layers.0.weight', '1.weight', 'taesd_decoder.1.weight'].find((name) => tensors.has(name));
  const [features, channels] = first === undefined ? [] : (tensors.shape(first) ?? []);
  const widths = Array.from({ length: TAESD_STAGES }, () => features);
  return { latent_channels: channels, decoder_block_out_channels: widths, encoder_block_out_channels: widths };
}

/** AutoencoderKL in diffusers' layout, as its config.json would say it. */
function diffusersJson(tensors: FileTensors, options: OpenVaeOptions): Readonly<Record<string, unknown>> {
  const levels = tensors.count('decoder.up_blocks');
  const widths = Array.from(
    { length: levels },
    (_, level) => tensors.shape(`decoder.up_blocks.${level}.resnets.0.conv2.weight`)?.[0],
  );
  return {
    out_channels: tensors.shape('decoder.conv_out.weight')?.[0],
    latent_channels: tensors.shape('decoder.conv_in.weight')?.[1],
    // The way up begins with the last.
    block_out_channels: widths.toReversed(),
    layers_per_block: tensors.count('decoder.up_blocks.0.resnets') - 1,
    up_block_types: widths.map(() => 'UpDecoderBlock2D'),
    mid_block_add_attention: tensors.hasModule('decoder.mid_block.attentions.0'),
    use_post_quant_conv: tensors.has('post_quant_conv.weight'),
    ...untoldFacts(options),
  };
}

/** AutoencoderKL, which has its own scale; TAESD has none. */
function isLarge(config: Readonly<Record<string, unknown>>): boolean {
  return Object.hasOwn(config, 'up_block_types');
}

/** Autoencoders of other families differ by more. */
const SAME_SCALE = 0.01;

/** Most tools generate wrong colours without a word. */
function scalingWarning(
  { config, configPath }: CheckpointNetwork,
  { spec, own: ownConfig }: OpenVaeOptions,
): string | undefined {
  if (!isRecord(config) || !isLarge(config)) return undefined;
  const known = isRecord(ownConfig) && isLarge(ownConfig) ? ownConfig : { ...spec.untold };
  const [given, expected] = [own(config, 'scaling_factor'), own(known, 'scaling_factor')];
  if (typeof given !== 'number' || typeof expected !== 'number') return undefined;
  if (Math.abs(given - expected) <= SAME_SCALE * expected) return undefined;
  return (
    `${configPath}: "scaling_factor" is ${given}, and the model's own autoencoder has ${expected}. ` +
    'It is perhaps made for another family of models, and then colours are wrong.'
  );
}
