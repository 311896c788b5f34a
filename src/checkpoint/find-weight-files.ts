/**
 * Finds a component's weight files in its folder: one file or shards, of a variant or not.
 * Source: diffusers models/modeling_utils.py (from_pretrained) and models/model_loading_utils.py (_fetch_index_file and its legacy form);
 * transformers modeling_utils.py (_get_resolved_checkpoint_files).
 */
import { readdir } from 'node:fs/promises';
import { join, resolve, sep } from 'node:path';
import { z } from 'zod';
import { Text2ImgError } from '../errors/text2img-error.ts';
import { messageOf, systemCode } from '../lib/disk-errors.ts';
import { quote } from '../lib/foreign-text.ts';
import { readJsonFile } from './json-file.ts';

const PICKLE_ENDINGS = ['.bin', '.ckpt', '.pt', '.pth'];

const shardIndexSchema = z.object({ weight_map: z.record(z.string(), z.string()) });

export interface ComponentFiles {
  /** `unet` */
  readonly component: string;
  readonly folder: string;
  /** `diffusion_pytorch_model` of diffusers, `model` of transformers */
  readonly baseName: string;
  /** `fp16`: files called `<base>.fp16.safetensors` come first. */
  readonly variant?: string;
}

interface Candidate {
  readonly name: string;
  readonly variant: string | undefined;
  readonly isIndex: boolean;
}

/** Paths of all the files that hold its tensors. @throws `model_not_found`, `unsafe_weights`, `invalid_config` */
export async function findWeightFiles(files: ComponentFiles): Promise<readonly string[]> {
  const names = await namesIn(files);
  const candidates = candidatesOf(names, files.baseName);
  const chosen =
    bestOf(candidates, files.variant, files) ?? bestOf(candidates, undefined, files) ?? onlyVariant(candidates, files);
  if (chosen === undefined) throw missingWeights(names, files);
  const path = join(files.folder, chosen.name);
  return chosen.isIndex ? readShardIndex(path, files.folder) : [path];
}

/** Whether the folder has files of this variant. */
export async function hasVariant(files: ComponentFiles, variant: string): Promise<boolean> {
  return candidatesOf(await namesIn(files), files.baseName).some((candidate) => candidate.variant === variant);
}

async function namesIn({ component, folder }: ComponentFiles): Promise<readonly string[]> {
  const names = await readdir(folder).catch((cause: unknown) => {
    const code = systemCode(cause);
    const what =
      code === 'ENOENT' || code === 'ENOTDIR'
        ? `the checkpoint has no folder ${folder} for its ${component}.`
        : `the folder ${folder} of the checkpoint’s ${component} cannot be read: ${messageOf(cause)}.`;
    throw new Text2ImgError('model_not_found', what, { cause });
  });
  // The order of a folder's names differs from one file system to the next.
  return names.toSorted();
}

/** Whole files and indexes; the shards themselves are known by their index. */
function candidatesOf(names: readonly string[], baseName: string): readonly Candidate[] {
  return names.flatMap((name) => {
    if (!name.startsWith(`${baseName}.`)) return [];
    // The variant stands in front of `.json`, and in older files in front of `.safetensors`.
    const match = /^\.(?:(?!safetensors)([\w-]+)\.)?safetensors(\.index(?:\.([\w-]+))?\.json)?$/.exec(
      name.slice(baseName.length),
    );
    if (match === null) return [];
    const [, variant = match[3], index] = match;
    const isShard = index === undefined && variant !== undefined && /-\d{5}-of-\d{5}$/.test(variant);
    return isShard ? [] : [{ name, variant, isIndex: index !== undefined }];
  });
}

/** Where a whole file and an index lie side by side, diffusers takes the index and transformers the file. */
function bestOf(
  candidates: readonly Candidate[],
  variant: string | undefined,
  { baseName }: ComponentFiles,
): Candidate | undefined {
  const indexFirst = baseName !== 'model';
  const [first, ...others] = candidates.filter((candidate) => candidate.variant === variant);
  return others.find(({ isIndex }) => isIndex === indexFirst && first?.isIndex !== indexFirst) ?? first;
}

/** The only variant there is stands for the plain files that are missing; of several, the user must name one. */
function onlyVariant(candidates: readonly Candidate[], files: ComponentFiles): Candidate | undefined {
  const variants = [...new Set(candidates.map(({ variant }) => variant))];
  if (variants.length < 2) return bestOf(candidates, variants[0], files);
  throw new Text2ImgError(
    'model_not_found',
    `${files.component} has weights of several variants and none without: ${variants.map((name) => quote(name, 40)).join(', ')}; ` +
      'name one with --variant.',
  );
}

/** @throws `invalid_config` for an index that is none, or that names a file outside of its folder, which is not opened */
async function readShardIndex(path: string, folder: string): Promise<readonly string[]> {
  const index = shardIndexSchema.safeParse(await readJsonFile(path));
  if (!index.success)
    throw new Text2ImgError('invalid_config', `${path} has no "weight_map" of tensor names to file names.`);
  const names = [...new Set(Object.values(index.data.weight_map))];
  if (names.length === 0) throw new Text2ImgError('invalid_config', `${path} names no files in its "weight_map".`);
  const outside = names.find((name) => !isInside(folder, name));
  if (outside === undefined) return names.map((name) => join(folder, name));
  throw new Text2ImgError(
    'invalid_config',
    `${path} names the file ${quote(outside)}, which lies outside the folder of the index; it is not opened.`,
  );
}

function isInside(folder: string, name: string): boolean {
  if (name.includes('\0')) return false;
  const inside = resolve(folder);
  return resolve(inside, name).startsWith(inside.endsWith(sep) ? inside : inside + sep);
}

function missingWeights(names: readonly string[], { component, folder, baseName }: ComponentFiles): Text2ImgError {
  const pickle = names.find((name) => PICKLE_ENDINGS.some((ending) => name.endsWith(ending)));
  if (pickle !== undefined) {
    return new Text2ImgError(
      'unsafe_weights',
      `${component} has its weights only as the pickle ${join(folder, pickle)}, which can run code when it is read; ` +
        'use a checkpoint that has safetensors, or save it once with save_pretrained(..., safe_serialization=True) in Python.',
    );
  }
  return new Text2ImgError(
    'model_not_found',
    `${component} has no weights: ${join(folder, `${baseName}.safetensors`)} does not exist.`,
  );
}
