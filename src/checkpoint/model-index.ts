/** Reads `model_index.json`: which pipeline a checkpoint is for and which classes its parts are. */
import { join } from 'node:path';
import { stat } from 'node:fs/promises';
import { Text2ImgError } from '../errors/text2img-error.ts';
import { own } from '../lib/foreign-record.ts';
import { quote } from '../lib/foreign-text.ts';
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
    if (!(error instanceof Text2ImgError)) throw error;
    const advice = error.code === 'model_not_found' ? ' A checkpoint in the diffusers layout has it.' : '';
    throw new Text2ImgError('invalid_model_index', `${error.message}${advice}`, { cause: error });
  });
  const pipelineClass = json['_class_name'];
  if (typeof pipelineClass !== 'string')
    throw new Text2ImgError(
      'invalid_model_index',
      `${path} names no pipeline: "_class_name" is ${quote(pipelineClass)}.`,
    );
  if (pipelineClass !== 'StableDiffusionPipeline') {
    throw new Text2ImgError(
      'unsupported_class',
      `${path}: the pipeline class ${quote(pipelineClass)} is not implemented; allowed: StableDiffusionPipeline.`,
    );
  }
  const components = componentClasses(json);
  for (const [name, allowed] of Object.entries(REQUIRED)) {
    const className = own(components, name);
    if (className === undefined)
      throw new Text2ImgError(
        'invalid_model_index',
        `${path} names no class for "${name}"; allowed: ${allowed.join(', ')}.`,
      );
    if (!allowed.includes(className)) {
      throw new Text2ImgError(
        'unsupported_class',
        `${path}: the ${name} class ${quote(className)} is not implemented; allowed: ${allowed.join(', ')}.`,
      );
    }
  }
  return { pipelineClass, components, hasSafetyChecker: own(components, 'safety_checker') !== undefined };
}

function componentClasses(json: Readonly<Record<string, unknown>>): Readonly<Record<string, string>> {
  const named = Object.entries(json).flatMap(([name, value]) =>
    Array.isArray(value) && typeof value[1] === 'string' ? [[name, value[1]] as const] : [],
  );
  return Object.fromEntries(named);
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
