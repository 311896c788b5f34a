/** Finds a component's weight files in its folder. Which of them is taken, `weight-files.ts` says. */
import { readdir } from 'node:fs/promises';
import { join, resolve, sep } from 'node:path';
import { z } from 'zod';
import { Text2ImgError } from '../errors/text2img-error.ts';
import { messageOf, systemCode } from '../lib/disk-errors.ts';
import { quote } from '../lib/foreign-text.ts';
import { readJsonFile } from './json-file.ts';
import { chooseWeightFile, isPickle, namesVariant, type WantedWeights } from './weight-files.ts';

const shardIndexSchema = z.object({ weight_map: z.record(z.string(), z.string()) });

export interface ComponentFiles extends WantedWeights {
  readonly folder: string;
}

/** Paths of all the files that hold its tensors. @throws `model_not_found`, `unsafe_weights`, `invalid_config` */
export async function findWeightFiles(files: ComponentFiles): Promise<readonly string[]> {
  const names = await namesIn(files);
  const chosen = chooseWeightFile(names, files);
  if (chosen === undefined) throw missingWeights(names, files);
  const path = join(files.folder, chosen.name);
  return chosen.kind === 'index' ? readShardIndex(path, files.folder) : [path];
}

/** Whether the folder has files of this variant. */
export async function hasVariant(files: ComponentFiles, variant: string): Promise<boolean> {
  return namesVariant(await namesIn(files), files.baseName, variant);
}

async function namesIn({ component, folder }: ComponentFiles): Promise<readonly string[]> {
  return readdir(folder).catch((cause: unknown) => {
    const code = systemCode(cause);
    const what =
      code === 'ENOENT' || code === 'ENOTDIR'
        ? `the checkpoint has no folder ${folder} for its ${component}.`
        : `the folder ${folder} of the checkpoint’s ${component} cannot be read: ${messageOf(cause)}.`;
    throw new Text2ImgError('model_not_found', what, { cause });
  });
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
  const pickle = names.find(isPickle);
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
