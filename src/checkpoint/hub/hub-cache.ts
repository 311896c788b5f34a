/**
 * The cache of Python's `huggingface_hub`, in its layout, so that both programs share their downloads.
 * Contents lie under `blobs/`, named by their SHA-256 (large files) or git's SHA-1. `snapshots/<commit>/` has links to them, and `refs/<branch>`
 * has the commit.
 * Source: huggingface_hub/file_download.py, constants.py; docs "Understand caching".
 */
import { createHash } from 'node:crypto';
import type { Stats } from 'node:fs';
import { copyFile, readdir, readFile, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { systemCode } from '../../lib/disk-errors.ts';
import { makeFolder } from '../../lib/make-folder.ts';
import { type HubId, isCommit } from './hub-id.ts';

export interface CachedSnapshot {
  readonly id: string;
  readonly commit: string;
  /** Branches and tags that were at this commit when they were last asked for. */
  readonly refs: readonly string[];
  readonly folder: string;
  readonly sizeBytes: number;
}

export interface SnapshotFile {
  readonly commit: string;
  /** Within the snapshot. */
  readonly path: string;
  readonly blob: string;
}

/** One branch's name is the beginning of another's (`v` and `v/1`), or too long for a file. Python's client cannot keep such a pair either. */
const COLLISIONS: ReadonlySet<unknown> = new Set(['ENOTDIR', 'EISDIR', 'ENOTEMPTY', 'EEXIST', 'ENAMETOOLONG']);
/** Beside `refs/`, where nobody else looks: each file is named by the SHA-256 of its branch, and holds the commit and the branch. */
const OWN_REFS = '.text2img-refs';

export class HubCache {
  /** `<HF_HOME>/hub` */
  readonly root: string;

  constructor(root: string) {
    this.root = root;
  }

  repoFolder(id: string): string {
    return join(this.root, `models--${id.replaceAll('/', '--')}`);
  }

  blobPath(id: string, name: string): string {
    return join(this.repoFolder(id), 'blobs', name);
  }

  snapshotFolder(id: string, commit: string): string {
    return join(this.repoFolder(id), 'snapshots', commit);
  }

  /** The commit that the revision was at, as far as the cache knows. A file without a commit in it counts as missing. */
  async readRef({ id, revision }: HubId): Promise<string | undefined> {
    if (isCommit(revision)) return revision;
    for (const path of [this.#refPath(id, revision), this.#ownRefPath(id, revision)]) {
      const commit = await readCommit(path);
      if (commit !== undefined) return commit;
    }
    return undefined;
  }

  /** Makes the folder of the branches' names, so that a cache that cannot be written is found out before anything is fetched. */
  async prepareRefs(id: string): Promise<void> {
    await makeFolder(join(this.repoFolder(id), 'refs'));
  }

  /** Writes nothing where the name leads there already. */
  async writeRef(hubId: HubId, commit: string): Promise<void> {
    const { id, revision } = hubId;
    if ((await this.readRef(hubId)) === commit) return;
    await this.prepareRefs(id);
    try {
      await this.#write(id, this.#refPath(id, revision), (draft) => writeFile(draft, commit));
    } catch (error) {
      if (!COLLISIONS.has(systemCode(error))) throw error;
      await this.#write(id, this.#ownRefPath(id, revision), (draft) => writeFile(draft, `${commit}\n${revision}\n`));
    }
  }

  /** Makes the snapshot's file lead to the blob; writes nothing where it does already. @returns whether it wrote */
  async link(id: string, { commit, path, blob }: SnapshotFile): Promise<boolean> {
    const file = join(this.snapshotFolder(id, commit), path);
    const target = this.blobPath(id, blob);
    if (await isSameFile(file, target)) return false;
    await this.#write(id, file, async (draft) => {
      // Relative, so that the cache can be moved; where links are not allowed (Windows), a copy, as Python makes it.
      await symlink(relative(dirname(file), target), draft).catch(() => copyFile(target, draft));
    });
    return true;
  }

  /** All that look like one; folders that are named otherwise are not the hub's. */
  async list(): Promise<readonly CachedSnapshot[]> {
    const found: CachedSnapshot[] = [];
    for (const name of await entries(this.root)) {
      if (!name.startsWith('models--')) continue;
      const id = name.slice('models--'.length).replace('--', '/');
      const refs = await this.#refs(id);
      for (const commit of (await entries(join(this.root, name, 'snapshots'))).filter(isCommit)) {
        const folder = this.snapshotFolder(id, commit);
        const sizeBytes = await sizeOf(folder);
        found.push({ id, commit, folder, sizeBytes, refs: refs.filter(([, at]) => at === commit).map(([ref]) => ref) });
      }
    }
    return found;
  }

  /** [branch or tag, commit] */
  async #refs(id: string): Promise<readonly (readonly [string, string])[]> {
    const [folder, ownFolder] = [join(this.repoFolder(id), 'refs'), join(this.repoFolder(id), OWN_REFS)];
    const refs: [string, string][] = [];
    for (const name of await readdir(folder, { recursive: true }).catch(() => [])) {
      const commit = await readCommit(join(folder, name));
      if (commit !== undefined) refs.push([name, commit]);
    }
    for (const name of await entries(ownFolder)) {
      const [commit = '', revision] = (await readFile(join(ownFolder, name), 'utf8').catch(() => '')).split('\n');
      if (isCommit(commit) && revision !== undefined) refs.push([revision, commit]);
    }
    return refs;
  }

  #refPath(id: string, revision: string): string {
    return join(this.repoFolder(id), 'refs', revision);
  }

  #ownRefPath(id: string, revision: string): string {
    return join(this.repoFolder(id), OWN_REFS, createHash('sha256').update(revision).digest('hex'));
  }

  /**
   * Writes a file whole or not at all. The temporary file lies in the repository's folder, under a short name. No program takes it there for a
   * branch or a file of the model.
   */
  async #write(id: string, path: string, write: (draft: string) => Promise<void>): Promise<void> {
    await makeFolder(dirname(path));
    const draft = join(this.repoFolder(id), `.text2img-${process.pid}-${Math.random().toString(36).slice(2)}`);
    try {
      await write(draft);
      await rename(draft, path);
    } finally {
      await rm(draft, { force: true });
    }
  }
}

async function readCommit(path: string): Promise<string | undefined> {
  const text = (await readFile(path, 'utf8').catch(() => '')).split('\n')[0]?.trim() ?? '';
  return isCommit(text) ? text : undefined;
}

/** The file is the blob, by a link of either kind, or (Windows) a copy that was made of it since it came. */
async function isSameFile(file: string, blob: string): Promise<boolean> {
  const [one, other] = await Promise.all([factsOf(file), factsOf(blob)]);
  if (one === undefined || other === undefined || !one.isFile()) return false;
  if (one.ino === other.ino && one.dev === other.dev) return true;
  return process.platform === 'win32' && one.size === other.size && one.mtimeMs >= other.mtimeMs;
}

async function factsOf(path: string): Promise<Stats | undefined> {
  return stat(path).catch(() => undefined);
}

async function entries(folder: string): Promise<string[]> {
  return (await readdir(folder).catch(() => [])).toSorted((a, b) => a.localeCompare(b));
}

/** Of all files, links followed. */
async function sizeOf(folder: string): Promise<number> {
  const names = await readdir(folder, { recursive: true }).catch(() => []);
  const sizes = names.map(async (name) => {
    const facts = await stat(join(folder, name)).catch(() => undefined);
    return facts?.isFile() === true ? facts.size : 0;
  });
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
}
