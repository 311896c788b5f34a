/** A model in the cache, found without asking the hub: a complete folder, or its missing files. */
import { readdir, stat } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { Text2ImgError } from '../../errors/text2img-error.ts';
import type { CheckpointFamily, ComponentSpec } from '../component-spec.ts';
import { familyOf, type ModelIndex, presentComponents, readModelIndex } from '../model-index.ts';
import { componentFiles, type HubComponent } from './component-files.ts';
import type { HubFile } from './hub-answers.ts';
import type { HubCache } from './hub-cache.ts';
import type { HubId } from './hub-id.ts';
import { neededFiles, requiredFiles } from './needed-files.ts';
import { omitUndefined } from '../../lib/omit-undefined.ts';

export interface CachedSnapshot {
  /** The snapshot's folder, or the one file in it that was asked for. */
  readonly path: string;
  readonly commit: string;
  /** A sentence's part: the first missing file, or why the model cannot be used. Absent: it is whole, as far as names tell. */
  readonly missing?: string;
}

export interface WantedSnapshot {
  readonly variant: string | undefined;
  readonly families: readonly CheckpointFamily[];
  /** Only this one is wanted. */
  readonly component?: HubComponent;
}

/** Undefined: nothing of this revision is there. */
export async function findCached(
  cache: HubCache,
  hubId: HubId,
  { variant, families, component }: WantedSnapshot,
): Promise<CachedSnapshot | undefined> {
  const commit = await cache.readRef(hubId);
  if (commit === undefined) return undefined;
  const folder = cache.snapshotFolder(hubId.id, commit);
  const files = await filesOf(folder);
  if (files.length === 0) return undefined;
  const { id, file } = hubId;
  if (file !== undefined) {
    const isThere = files.some(({ path }) => path === file);
    return { path: join(folder, file), commit, ...(isThere ? {} : { missing: `${file} is missing` }) };
  }
  if (component !== undefined) return cachedComponent({ folder, commit, files, id, component, variant });
  const missing = await whatIsMissing(folder, files, { id, variant, families });
  return { path: folder, commit, ...omitUndefined({ missing }) };
}

interface CachedComponent {
  readonly folder: string;
  readonly commit: string;
  readonly files: readonly HubFile[];
  readonly id: string;
  readonly component: HubComponent;
  readonly variant: string | undefined;
}

function cachedComponent({ folder, commit, files, ...wanted }: CachedComponent): CachedSnapshot {
  try {
    const choice = componentFiles(files, wanted);
    const missing = missingShard(choice.files.map(({ path }) => path));
    return { path: join(folder, choice.folder), commit, ...omitUndefined({ missing }) };
  } catch {
    return { path: folder, commit, missing: `its ${wanted.component.name} is missing` };
  }
}

/** Links that lead nowhere are not there. */
async function filesOf(folder: string): Promise<readonly HubFile[]> {
  const names = await readdir(folder, { recursive: true }).catch(() => []);
  const files = names.map(async (name): Promise<HubFile[]> => {
    const facts = await stat(join(folder, name)).catch(() => undefined);
    if (facts?.isFile() !== true) return [];
    return [{ path: name.split(sep).join('/'), sizeBytes: facts.size, blob: '', isLarge: false }];
  });
  return (await Promise.all(files)).flat();
}

async function whatIsMissing(
  folder: string,
  files: readonly HubFile[],
  { id, variant, families }: WantedSnapshot & { readonly id: string },
): Promise<string | undefined> {
  const names = new Set(files.map(({ path }) => path));
  if (!names.has('model_index.json')) return 'model_index.json is missing';
  const read = await indexAndFamily(folder, families);
  // Fetching does not mend it, and opening says what is wrong with it.
  if (read === undefined) return undefined;
  const { index, components } = read;
  for (const sets of requiredFiles(presentComponents(index, components))) {
    if (sets.some((set) => set.every((name) => names.has(name)))) continue;
    return `${sets[0]?.find((name) => !names.has(name))} is missing`;
  }
  try {
    return missingShard(neededFiles(files, { id, variant, index, components }).map(({ path }) => path));
  } catch (error) {
    if (error instanceof Text2ImgError) return error.message.replace(/\.$/, '');
    throw error;
  }
}

async function indexAndFamily(
  folder: string,
  families: readonly CheckpointFamily[],
): Promise<{ readonly index: ModelIndex; readonly components: readonly ComponentSpec[] } | undefined> {
  try {
    const index = await readModelIndex(folder);
    return { index, components: familyOf(index, families).components };
  } catch (error) {
    if (error instanceof Text2ImgError) return undefined;
    throw error;
  }
}

/** `…-00001-of-00003.safetensors`: each says how many there are. */
function missingShard(names: readonly string[]): string | undefined {
  for (const name of names) {
    const [, base, count = '', extension] = /^(.*)-\d{5}-of-(\d{5})(\.safetensors)$/.exec(name) ?? [];
    for (let shard = 1; shard <= Number(count); shard++) {
      const other = `${base}-${String(shard).padStart(5, '0')}-of-${count}${extension}`;
      if (!names.includes(other)) return `${other} is missing`;
    }
  }
  // An index without any of its shards.
  const index = names.find((name) => name.includes('.safetensors.index.'));
  const hasShard =
    index === undefined || names.some((name) => name.startsWith(`${index.split('/')[0]}/`) && /-of-\d{5}\./.test(name));
  return hasShard ? undefined : `the files that ${index} names are missing`;
}
