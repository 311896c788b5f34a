/** The models in a snapshot of the hub's cache: one in the diffusers layout, or each file that is a checkpoint of its own. */
import { readdir, stat } from 'node:fs/promises';
import { join, sep } from 'node:path';
import type { CachedSnapshot } from './hub-cache.ts';

export interface CachedModel extends CachedSnapshot {
  /** The one file in the snapshot that is the whole checkpoint; its size is then the file's. */
  readonly file?: string;
}

const SAFETENSORS = /\.(?:safetensors|sft)$/i;

/** A snapshot without a `model_index.json` and without any such file is one model too, which cannot be used. */
export async function modelsIn(snapshot: CachedSnapshot): Promise<readonly CachedModel[]> {
  const names = await readdir(snapshot.folder, { recursive: true }).catch((): string[] => []);
  if (names.includes('model_index.json')) return [snapshot];
  const files = names.filter((name) => SAFETENSORS.test(name)).toSorted((a, b) => a.localeCompare(b));
  if (files.length === 0) return [snapshot];
  return await Promise.all(
    files.map(async (name) => ({
      ...snapshot,
      file: name.split(sep).join('/'),
      sizeBytes: await sizeOf(join(snapshot.folder, name)),
    })),
  );
}

async function sizeOf(path: string): Promise<number> {
  return stat(path).then(
    ({ size }) => size,
    () => 0,
  );
}
