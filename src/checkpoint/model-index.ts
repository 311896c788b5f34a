/** Reads `model_index.json`: which pipeline a checkpoint is for and which classes its parts are. */
import { join } from 'node:path';
import { stat } from 'node:fs/promises';
import { Text2ImgError } from '../errors/text2img-error.ts';
import { readJsonFile } from './json-file.ts';

export interface ModelIndex {
  readonly pipelineClass: 'StableDiffusionPipeline';
  /** Component → class name. */
  readonly components: Readonly<Record<string, string>>;
  readonly hasSafetyChecker: boolean;
}

/** Component → the classes that are implemented. */
const REQUIRED: Readonly<Record<string, readonly string[]>> = {
  text_encoder: ['CLIPTextModel'],
  tokenizer: ['CLIPTokenizer', 'CLIPTokenizerFast'],
  unet: ['UNet2DConditionModel'],
  vae: ['AutoencoderKL'],
};

/** @throws `model_not_found`, `invalid_model_index`, `unsupported_class` */
export async function readModelIndex(folder: string): Promise<ModelIndex> {
  const path = join(folder, 'model_index.json');
  await requireCheckpointFolder(folder);
  const json = await readJsonFile(path).catch((error: unknown) => {
    throw error instanceof Text2ImgError
      ? new Text2ImgError('invalid_model_index', `${error.message} A checkpoint in the diffusers layout has it.`)
      : error;
  });
  const pipelineClass = json['_class_name'];
  if (typeof pipelineClass !== 'string')
    throw new Text2ImgError(
      'invalid_model_index',
      `${path} names no pipeline: "_class_name" is ${JSON.stringify(pipelineClass)}.`,
    );
  if (pipelineClass !== 'StableDiffusionPipeline') {
    throw new Text2ImgError(
      'unsupported_class',
      `${path}: the pipeline class "${pipelineClass}" is not implemented; allowed: StableDiffusionPipeline.`,
    );
  }
  const components: Record<string, string> = {};
  for (const [name, value] of Object.entries(json)) {
    if (Array.isArray(value) && typeof value[1] === 'string') components[name] = value[1];
  }
  for (const [name, allowed] of Object.entries(REQUIRED)) {
    const className = components[name];
    if (className === undefined)
      throw new Text2ImgError(
        'invalid_model_index',
        `${path} names no class for "${name}"; allowed: ${allowed.join(', ')}.`,
      );
    if (!allowed.includes(className)) {
      throw new Text2ImgError(
        'unsupported_class',
        `${path}: the ${name} class "${className}" is not implemented; allowed: ${allowed.join(', ')}.`,
      );
    }
  }
  return { pipelineClass, components, hasSafetyChecker: components['safety_checker'] !== undefined };
}

async function requireCheckpointFolder(folder: string): Promise<void> {
  const facts = await stat(folder).catch(() => undefined);
  if (facts?.isDirectory() === true) return;
  if (facts !== undefined)
    throw new Text2ImgError(
      'model_not_found',
      `the model "${folder}" is a file; a folder in the diffusers layout is needed.`,
    );
  throw new Text2ImgError(
    'model_not_found',
    `there is no folder "${folder}" with a checkpoint in the diffusers layout.`,
  );
}
