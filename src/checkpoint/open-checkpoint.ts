/** Opens a checkpoint folder in the diffusers layout: every configuration read and checked, every weight file's header read, nothing loaded yet. */
import { realpath } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { openComponentWeights } from './component-weights.ts';
import { AUTOENCODER_KL_RULES, type AutoencoderKlConfig } from '../networks/autoencoder-kl-config.ts';
import { CLIP_TEXT_RULES, type ClipTextConfig } from '../networks/clip-text-config.ts';
import { type ConfigRules, readConfig } from '../lib/config-rules.ts';
import type { SchedulerConfig } from '../schedulers/scheduler.ts';
import { readSchedulerConfig } from '../schedulers/scheduler-config.ts';
import { UNET_2D_CONDITION_RULES, type UNet2DConditionConfig } from '../networks/unet-2d-condition-config.ts';
import { Text2ImgError } from '../errors/text2img-error.ts';
import { type ComponentFiles, hasVariant } from './find-weight-files.ts';
import { quote } from '../lib/foreign-text.ts';
import { readJsonFile } from './json-file.ts';
import { type ModelIndex, readModelIndex } from './model-index.ts';
import { readTokenizerFiles, type TokenizerFiles } from './tokenizer-files.ts';
import { autoencoderWeights, textEncoderWeights } from './weight-names.ts';
import type { Weights } from '../onnx/weights.ts';

interface Component<T> {
  /** The file that `config` comes from. */
  readonly configPath: string;
  readonly config: T;
  readonly weights: Weights;
}

export interface Checkpoint {
  /** Real path. */
  readonly folder: string;
  /** What pictures and logs call it. */
  readonly modelName: string;
  readonly index: ModelIndex;
  readonly textEncoder: Component<ClipTextConfig>;
  readonly unet: Component<UNet2DConditionConfig>;
  readonly vae: Component<AutoencoderKlConfig>;
  readonly tokenizer: TokenizerFiles;
  readonly scheduler: { readonly className: string; readonly config: SchedulerConfig };
  /** Sentences for the log. */
  readonly warnings: readonly string[];
}

export interface OpenCheckpointOptions {
  /** `fp16`: prefer weight files of this variant. */
  readonly variant?: string;
}

/**
 * @throws `model_not_found`, `invalid_model_index`, `unsupported_class`, `invalid_config`, `unsupported_config`, `unsafe_weights`,
 *   `invalid_safetensors`, `invalid_tokenizer`
 */
export async function openCheckpoint(folder: string, options: OpenCheckpointOptions = {}): Promise<Checkpoint> {
  const index = await readModelIndex(folder);
  const real = await realpath(folder);
  const warnings: string[] = [];
  if (index.hasSafetyChecker) warnings.push('The checkpoint has a safety checker; it is not run by this version.');

  const open = async <T>(component: Network, rules: ConfigRules<T>): Promise<Component<T>> => {
    const place = join(real, component);
    const path = join(place, 'config.json');
    const read = readConfig(rules, await readJsonFile(path), path);
    warnings.push(...read.warnings);
    const weights = await openComponentWeights({ ...filesOf(real, component), ...options });
    return { configPath: path, config: read.config, weights };
  };
  if (options.variant !== undefined) warnings.push(...(await withoutVariant(real, options.variant)));
  const textEncoder = await open('text_encoder', CLIP_TEXT_RULES);
  const unet = await open('unet', UNET_2D_CONDITION_RULES);
  const vae = await open('vae', AUTOENCODER_KL_RULES);
  return {
    folder: real,
    modelName: basename(real),
    index,
    textEncoder: { ...textEncoder, weights: textEncoderWeights(textEncoder.weights) },
    unet,
    vae: { ...vae, weights: autoencoderWeights(vae.weights) },
    tokenizer: await readTokenizerFiles(join(real, 'tokenizer'), textEncoder.config.max_position_embeddings),
    scheduler: await openScheduler(join(real, 'scheduler', 'scheduler_config.json'), index, warnings),
    warnings,
  };
}

/** Network → the name that its weight files begin with. */
const BASE_NAMES = {
  text_encoder: 'model',
  unet: 'diffusion_pytorch_model',
  vae: 'diffusion_pytorch_model',
} as const;
type Network = keyof typeof BASE_NAMES;

function filesOf(folder: string, component: Network): ComponentFiles {
  return { component, folder: join(folder, component), baseName: BASE_NAMES[component] };
}

/**
 * A warning about the networks that lack the variant.
 * Source: diffusers pipelines/pipeline_utils.py, from_pretrained, which refuses a variant that no network has.
 * @throws `model_not_found`
 */
async function withoutVariant(folder: string, variant: string): Promise<readonly string[]> {
  const lacking: Network[] = [];
  for (const component of Object.keys(BASE_NAMES) as Network[]) {
    if (!(await hasVariant(filesOf(folder, component), variant))) lacking.push(component);
  }
  if (lacking.length === 0) return [];
  if (lacking.length < Object.keys(BASE_NAMES).length)
    return [
      `There are no weights of the variant ${quote(variant)} for ${lacking.join(' and ')}; the plain ones are used.`,
    ];
  throw new Text2ImgError(
    'model_not_found',
    `no weight file of ${folder} has the variant ${quote(variant)}; leave out --variant to use the files that are there.`,
  );
}

async function openScheduler(path: string, index: ModelIndex, warnings: string[]): Promise<Checkpoint['scheduler']> {
  const json = await readJsonFile(path);
  // As diffusers: the index decides, whatever the scheduler's own file says.
  const className = index.components['scheduler'] ?? json['_class_name'];
  if (typeof className !== 'string')
    throw new Text2ImgError('invalid_config', `${path} names no class: "_class_name" is ${quote(className)}.`);
  const read = readSchedulerConfig(className, json, path);
  warnings.push(...read.warnings);
  return { className, config: read.config };
}
