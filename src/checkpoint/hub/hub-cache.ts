/**
 * The cache that Python's `huggingface_hub` keeps, in its layout, so that both share what either has fetched: contents under `blobs/`, named by
 * their SHA-256 (large files) or git's SHA-1; `snapshots/<commit>/` with links to them; `refs/<branch>` with the commit.
 * Source: huggingface_hub/file_download.py, constants.py; docs "Understand caching".
 */
import { constants } from 'node:fs';
import { access, copyFile, mkdir, readdir, readFile, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { type HubId, isCommit } from './hub-id.ts';

export interface CachedSnapshot {
  readonly id: string;
  readonly commit: string;
  /** Branches and tags that were at this commit when they were last asked for. */
  readonly refs: readonly string[];
  readonly folder: string;
  readonly sizeBytes: number;
}

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

  /** The commit that the revision was at, as far as the cache knows. */
  async readRef({ id, revision }: HubId): Promise<string | undefined> {
    if (isCommit(revision)) return revision;
    const text = await readFile(join(this.repoFolder(id), 'refs', revision), 'utf8').catch(() => undefined);
    return text?.trim();
  }

  async writeRef({ id, revision }: HubId, commit: string): Promise<void> {
    if (isCommit(revision)) return;
    const path = join(this.repoFolder(id), 'refs', revision);
    await mkdir(dirname(path), { recursive: true });
    await viaDraft(path, (draft) => writeFile(draft, commit));
  }

  async hasBlob(id: string, name: string): Promise<boolean> {
    return access(this.blobPath(id, name), constants.R_OK).then(
      () => true,
      () => false,
    );
  }

  /** Makes the snapshot's file lead to the blob. */
  async link(
    id: string,
    { commit, path, blob }: { readonly commit: string; readonly path: string; readonly blob: string },
  ): Promise<void> {
    const file = join(this.snapshotFolder(id, commit), path);
    await mkdir(dirname(file), { recursive: true });
    const target = this.blobPath(id, blob);
    await viaDraft(file, async (draft) => {
      // Relative, so that the cache can be moved; where links are not allowed (Windows), a copy, as Python makes it.
      await symlink(relative(dirname(file), target), draft).catch(() => copyFile(target, draft));
    });
  }

  async list(): Promise<readonly CachedSnapshot[]> {
    const found: CachedSnapshot[] = [];
    for (const name of await entries(this.root)) {
      if (!name.startsWith('models--')) continue;
      const id = name.slice('models--'.length).replace('--', '/');
      const refs = await this.#refs(id);
      for (const commit of await entries(join(this.root, name, 'snapshots'))) {
        const folder = this.snapshotFolder(id, commit);
        const sizeBytes = await sizeOf(folder);
        found.push({ id, commit, folder, sizeBytes, refs: refs.filter(([, at]) => at === commit).map(([ref]) => ref) });
      }
    }
    return found;
  }

  async #refs(id: string): Promise<readonly (readonly [string, string])[]> {
    const folder = join(this.repoFolder(id), 'refs');
    const names = await readdir(folder, { recursive: true }).catch(() => []);
    const read = names.map(
      async (name) => [name, (await readFile(join(folder, name), 'utf8').catch(() => '')).trim()] as const,
    );
    return (await Promise.all(read)).filter(([, commit]) => commit !== '');
  }
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

async function viaDraft(path: string, write: (draft: string) => Promise<void>): Promise<void> {
  const draft = `${path}.${process.pid}-${Math.random().toString(36).slice(2)}`;
  try {
    await write(draft);
    await rename(draft, path);
  } finally {
    await rm(draft, { force: true });
  }
}
