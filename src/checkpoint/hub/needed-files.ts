/**
 * Which files of a repository are needed to generate images: configurations, tokenizers, scheduler, and of each network's weights one variant as
 * safetensors. Repositories hold the same weights several times over; Stable Diffusion 1.5 is 44 GB on the hub, and 4.3 GB are needed.
 */
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { quote } from '../../lib/foreign-text.ts';
import type { ComponentSpec, NetworkSpec } from '../component-spec.ts';
import { type ModelIndex, networkClassOf, presentComponents } from '../model-index.ts';
import { chooseWeightFile, isPickle, namesVariant, shardsOf } from '../weight-files.ts';
import type { HubFile } from './hub-answers.ts';
import { othersOf } from './single-files.ts';

/** Every repository has this file beside its components. */
const INDEX = 'model_index.json';
const ALWAYS = [INDEX, 'README.md'];

export interface WantedFiles {
  /** The repository's name, for messages. */
  readonly id: string;
  readonly variant: string | undefined;
  readonly index: ModelIndex;
  /** The family's. */
  readonly components: readonly ComponentSpec[];
}

/** @throws `invalid_model_index` for a repository of another layout */
export function indexFile(files: readonly HubFile[], id: string): HubFile {
  const file = files.find(({ path }) => path === INDEX);
  if (file !== undefined) return file;
  throw new Text2ImgError(
    'invalid_model_index',
    `the repository ${id} has no model_index.json, so it is no checkpoint in the diffusers layout. ${othersOf(files, id)}`,
  );
}

/** @throws `unsafe_weights` where there is only a pickle, `model_not_found` */
export function neededFiles(files: readonly HubFile[], wanted: WantedFiles): readonly HubFile[] {
  const { id, variant, index } = wanted;
  const present = presentComponents(index, wanted.components);
  const networks = present.filter((spec): spec is NetworkSpec => spec.kind === 'network');
  const has = (spec: NetworkSpec): boolean =>
    variant !== undefined &&
    namesVariant(namesIn(files, spec.name), networkClassOf(index, spec).weightsBaseName, variant);
  if (variant !== undefined && !networks.some(has)) {
    throw new Text2ImgError(
      'model_not_found',
      `the repository ${id} has no weights of the variant ${quote(variant)}; leave out --variant to use those that it has.`,
    );
  }
  const paths = new Set([
    ...ALWAYS,
    ...present.flatMap((spec) => smallFiles(spec).map((name) => `${spec.name}/${name}`)),
    ...networks.flatMap((spec) => weightFiles(files, spec, wanted).map((name) => `${spec.name}/${name}`)),
  ]);
  return files.filter(({ path }) => paths.has(path));
}

/** Names in the component's folder; some of them may be missing. */
function smallFiles(spec: ComponentSpec): readonly string[] {
  switch (spec.kind) {
    case 'network':
      return ['config.json'];
    case 'tokenizer':
      return spec.classes.flatMap(({ fileSets, otherFiles }) => [...fileSets.flat(), ...otherFiles]);
    case 'scheduler':
      return ['scheduler_config.json'];
    case 'ignored':
      return [];
  }
}

/** Paths of which at least one set must be there, for each component that has small files. */
export function requiredFiles(components: readonly ComponentSpec[]): readonly (readonly (readonly string[])[])[] {
  return components.flatMap((spec) => {
    const sets = spec.kind === 'tokenizer' ? spec.classes.flatMap(({ fileSets }) => fileSets) : [smallFiles(spec)];
    return spec.kind === 'ignored' ? [] : [sets.map((names) => names.map((name) => `${spec.name}/${name}`))];
  });
}

/** Names of the files directly in the component's folder. */
function namesIn(files: readonly HubFile[], component: string): readonly string[] {
  const start = `${component}/`;
  return files.flatMap(({ path }) => {
    const name = path.slice(start.length);
    return path.startsWith(start) && !name.includes('/') ? [name] : [];
  });
}

function weightFiles(
  files: readonly HubFile[],
  spec: NetworkSpec,
  { id, variant, index }: WantedFiles,
): readonly string[] {
  const { weightsBaseName: baseName } = networkClassOf(index, spec);
  const names = namesIn(files, spec.name);
  const chosen = chooseWeightFile(names, {
    component: spec.name,
    baseName,
    ...(variant === undefined ? {} : { variant }),
  });
  if (chosen !== undefined)
    return chosen.kind === 'index' ? [chosen.name, ...shardsOf(chosen, names, baseName)] : [chosen.name];
  const pickle = names.find(isPickle);
  if (pickle !== undefined)
    throw new Text2ImgError(
      'unsafe_weights',
      `the repository ${id} has the weights of its ${spec.name} only as the pickle ${quote(`${spec.name}/${pickle}`)}, which can run code when it is read.`,
    );
  throw new Text2ImgError('model_not_found', `the repository ${id} has no ${spec.name}/${baseName}.safetensors.`);
}
