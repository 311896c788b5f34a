/** Reads `model_index.json`: which pipeline a checkpoint is for and which classes its components have. */
import { join } from 'node:path';
import { stat } from 'node:fs/promises';
import { Text2ImgError } from '../errors/text2img-error.ts';
import { own } from '../lib/foreign-record.ts';
import { quote } from '../lib/foreign-text.ts';
import type { NetworkClass } from '../networks/network-class.ts';
import type { CheckpointFamily, ComponentSpec, NetworkSpec, TokenizerClass, TokenizerSpec } from './component-spec.ts';
import { readJsonFile } from './json-file.ts';
import { otherPipeline } from './other-pipelines.ts';

export interface ModelIndex {
  /** The file, for messages. */
  readonly path: string;
  readonly pipelineClass: string;
  /** Component → class name. One that says `[null, null]` is not in it. */
  readonly components: Readonly<Record<string, string>>;
  /** All other entries: the pipeline's own settings. */
  readonly settings: Readonly<Record<string, unknown>>;
}

/** @throws `model_not_found`, `invalid_model_index` */
export async function readModelIndex(folder: string): Promise<ModelIndex> {
  const path = join(folder, 'model_index.json');
  await requireCheckpointFolder(folder);
  const json = await readJsonFile(path).catch((error: unknown) => {
    if (!(error instanceof Text2ImgError)) throw error;
    const advice = error.code === 'model_not_found' ? ' A checkpoint in the diffusers layout has it.' : '';
    throw new Text2ImgError('invalid_model_index', `${error.message}${advice}`, { cause: error });
  });
  return parseModelIndex(json, path);
}

/** @param path for messages @throws `invalid_model_index` */
export function parseModelIndex(json: Readonly<Record<string, unknown>>, path: string): ModelIndex {
  const pipelineClass = json['_class_name'];
  if (typeof pipelineClass !== 'string')
    throw new Text2ImgError(
      'invalid_model_index',
      `${path} names no pipeline: "_class_name" is ${quote(pipelineClass)}.`,
    );
  const named = Object.entries(json).flatMap(([name, value]) =>
    Array.isArray(value) && typeof value[1] === 'string' ? [[name, value[1]] as const] : [],
  );
  const settings = Object.entries(json).filter(([, value]) => !Array.isArray(value));
  return { path, pipelineClass, components: Object.fromEntries(named), settings: Object.fromEntries(settings) };
}

/** The family whose pipeline the checkpoint is for, its components' classes checked. @throws `unsupported_class`, `invalid_model_index` */
export function familyOf<F extends CheckpointFamily>(index: ModelIndex, families: readonly F[]): F {
  const { path, pipelineClass } = index;
  const family = families.find(({ classes }) => classes.includes(pipelineClass));
  if (family === undefined) {
    const allowed = families.flatMap(({ classes }) => classes).join(', ');
    const what = otherPipeline(pipelineClass);
    throw new Text2ImgError(
      'unsupported_class',
      `${path}: the pipeline class ${quote(pipelineClass)}${what === undefined ? '' : `, for ${what},`} is not implemented; allowed: ${allowed}.`,
    );
  }
  const reason = family.refuses?.(index);
  if (reason !== undefined) throw new Text2ImgError('unsupported_class', `${path}: ${reason}.`);
  for (const spec of family.components) checkClass(index, spec);
  return family;
}

function checkClass({ path, components }: ModelIndex, spec: ComponentSpec): void {
  const allowed = classNamesOf(spec);
  if (allowed.length === 0) return;
  const { name } = spec;
  const className = own(components, name);
  if (className === undefined) {
    if ('optional' in spec) return;
    throw new Text2ImgError(
      'invalid_model_index',
      `${path} names no class for "${name}"; allowed: ${allowed.join(', ')}.`,
    );
  }
  if (allowed.includes(className)) return;
  throw new Text2ImgError(
    'unsupported_class',
    `${path}: the ${name} class ${quote(className)} is not implemented; allowed: ${allowed.join(', ')}.`,
  );
}

/** Empty where the index is not asked: a scheduler's class may stand in its own file, and what is ignored may be anything. */
function classNamesOf(spec: ComponentSpec): readonly string[] {
  if (spec.kind === 'network') return spec.classes.map(({ className }) => className);
  if (spec.kind === 'tokenizer') return spec.classes.flatMap(({ classNames }) => classNames);
  return [];
}

/** The components of the list that this checkpoint has. */
export function presentComponents<S extends ComponentSpec>(
  { components }: ModelIndex,
  list: readonly S[],
): readonly S[] {
  return list.filter((spec) => !('optional' in spec) || own(components, spec.name) !== undefined);
}

/** The class that the checkpoint names for a network. It has been checked by `familyOf`. */
export function networkClassOf({ components }: ModelIndex, { name, classes }: NetworkSpec): NetworkClass {
  const className = own(components, name);
  const found = classes.find((networkClass) => networkClass.className === className);
  if (found !== undefined) return found;
  throw new Text2ImgError('internal', `the network ${name} has no class ${quote(className)}.`);
}

/** The class that the checkpoint names for a tokenizer. It has been checked by `familyOf`. */
export function tokenizerClassOf({ components }: ModelIndex, { name, classes }: TokenizerSpec): TokenizerClass {
  const className = own(components, name);
  const found = classes.find(({ classNames }) => className !== undefined && classNames.includes(className));
  if (found !== undefined) return found;
  throw new Text2ImgError('internal', `the tokenizer ${name} has no class ${quote(className)}.`);
}

async function requireCheckpointFolder(folder: string): Promise<void> {
  const facts = await stat(folder).catch(() => undefined);
  if (facts?.isDirectory() === true) return;
  if (facts !== undefined) throw specialFile(folder);
  throw new Text2ImgError(
    'model_not_found',
    `there is no folder "${folder}" with a checkpoint in the diffusers layout.`,
  );
}

/** The error for a model that is neither a folder nor a plain file. */
export function specialFile(path: string): Text2ImgError {
  return new Text2ImgError(
    'model_not_found',
    `the model ${quote(path, 300)} is a pipe, a socket or a device; a folder or a .safetensors file is needed.`,
  );
}
