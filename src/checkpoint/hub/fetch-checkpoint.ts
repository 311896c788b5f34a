/** A checkpoint by its hub id: asks the hub, fetches what is missing, and gives the snapshot's folder in the cache. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Text2ImgError } from '../../errors/text2img-error.ts';
import type { Logger } from '../../observability/logger.ts';
import { downloadFile } from './download-file.ts';
import { HubCache } from './hub-cache.ts';
import { type HubAccess, listRepository, resolveCommit } from './hub-client.ts';
import type { HubId } from './hub-id.ts';
import { neededFiles } from './needed-files.ts';

export interface FetchCheckpointOptions {
  readonly cacheFolder: string;
  readonly access: HubAccess;
  /** Ask nobody: what is in the cache is all there is. */
  readonly offline: boolean;
  readonly variant: string | undefined;
  readonly logger: Logger;
  readonly onProgress?: (doneBytes: number, totalBytes: number) => void;
  readonly firstPauseMs?: number;
}

/**
 * @returns the snapshot's folder. Where the hub cannot be reached and the cache has the revision, that one is taken with a warning.
 * @throws `model_not_found`, `model_gated`, `download_failed`, `unsafe_weights`, `invalid_model_index`, `disk_full`, `store_unwritable`
 */
export async function fetchCheckpoint(hubId: HubId, options: FetchCheckpointOptions): Promise<string> {
  const cache = new HubCache(options.cacheFolder);
  const { id, revision } = hubId;
  if (options.offline) {
    const folder = await findCached(cache, hubId);
    if (folder !== undefined) return folder;
    throw new Text2ImgError(
      'model_not_found',
      `the model ${id} at revision ${JSON.stringify(revision)} is not in the cache ${cache.root}, and --offline forbids to fetch it.`,
    );
  }
  try {
    return await fetchMissing(cache, hubId, options);
  } catch (error) {
    const folder = Text2ImgError.from(error).code === 'download_failed' ? await findCached(cache, hubId) : undefined;
    if (folder === undefined) throw error;
    options.logger.warning('the hub cannot be asked; the model is taken from the cache as it is', {
      model: id,
      reason: Text2ImgError.from(error).message,
    });
    return folder;
  }
}

async function fetchMissing(cache: HubCache, hubId: HubId, options: FetchCheckpointOptions): Promise<string> {
  const { access, variant, onProgress, firstPauseMs } = options;
  const { id } = hubId;
  const commit = await resolveCommit(hubId, access);
  const files = neededFiles(await listRepository({ id, revision: commit }, access), { id, variant });
  const totalBytes = files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  let doneBytes = 0;
  for (const file of files) {
    const { path, blob, sizeBytes } = file;
    if (!(await cache.hasBlob(id, blob))) {
      await downloadFile(file, {
        hubId,
        commit,
        access,
        path: cache.blobPath(id, blob),
        onProgress: (bytes) => onProgress?.(doneBytes + bytes, totalBytes),
        ...(firstPauseMs === undefined ? {} : { firstPauseMs }),
      });
    }
    await cache.link(id, { commit, path, blob });
    doneBytes += sizeBytes;
    onProgress?.(doneBytes, totalBytes);
  }
  // Last: whoever reads the branch's name finds everything there.
  await cache.writeRef(hubId, commit);
  return cache.snapshotFolder(id, commit);
}

async function findCached(cache: HubCache, hubId: HubId): Promise<string | undefined> {
  const commit = await cache.readRef(hubId);
  const folder = commit === undefined ? undefined : cache.snapshotFolder(hubId.id, commit);
  return folder !== undefined && existsSync(join(folder, 'model_index.json')) ? folder : undefined;
}
