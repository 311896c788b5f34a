/** A checkpoint by its hub id: asks the hub, and fetches what is missing. The result is the folder of the snapshot in the cache, or one file in it. */
import { join } from 'node:path';
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { quote } from '../../lib/foreign-text.ts';
import { omitUndefined } from '../../lib/omit-undefined.ts';
import type { Logger } from '../../observability/logger.ts';
import type { CheckpointFamily } from '../component-spec.ts';
import { readJsonFile } from '../json-file.ts';
import { familyOf, type ModelIndex, parseModelIndex } from '../model-index.ts';
import { type CachedSnapshot, findCached } from './cached-snapshot.ts';
import { componentFiles, type HubComponent } from './component-files.ts';
import { downloadFile, type Patience } from './download-file.ts';
import type { HubFile } from './hub-answers.ts';
import { HubCache } from './hub-cache.ts';
import { type AskOptions, listRepository, resolveCommit } from './hub-client.ts';
import { cacheError, isReadOnly } from './hub-errors.ts';
import { type HubId, hubName } from './hub-id.ts';
import type { HubAccess } from './hub-request.ts';
import { indexFile, neededFiles } from './needed-files.ts';
import { singleFileOf } from './single-files.ts';
import { type BlobCheck, blobState } from './whole-blob.ts';

export interface FetchCheckpointOptions {
  readonly cacheFolder: string;
  readonly access: HubAccess;
  /** Ask nobody: what is in the cache is all there is. */
  readonly offline: boolean;
  /** For a command that only looks: as offline, though the user did not ask for it. */
  readonly cacheOnly?: boolean;
  readonly variant: string | undefined;
  /** The families that the model may belong to: which files are needed follows from its family's components. */
  readonly families: readonly CheckpointFamily[];
  /** Only this network of the repository, whose root may be it. The result is its folder. */
  readonly component?: HubComponent;
  readonly logger: Logger;
  /** How well what is in the cache is looked at. With `digest` the user asks for this very model: a cache that cannot take it is then an error. */
  readonly check?: BlobCheck;
  readonly onProgress?: (doneBytes: number, totalBytes: number) => void;
  readonly firstPauseMs?: number;
  readonly patience?: Patience;
}

/** Where the cache can serve, nobody waits long for a hub that is away. */
const TRIES_WITH_CACHE = 2;

/**
 * @returns the snapshot's folder, or the file in it that was asked for. Where the hub cannot be reached and the cache has the revision, that one is taken with a warning.
 * @throws `model_not_found`, `model_gated`, `download_failed`, `unsafe_weights`, `invalid_model_index`, `unsupported_class`, `disk_full`,
 *   `store_unwritable`
 */
export async function fetchCheckpoint(hubId: HubId, options: FetchCheckpointOptions): Promise<string> {
  const cache = new HubCache(options.cacheFolder);
  const cached = await findCached(cache, hubId, options);
  if (options.offline || options.cacheOnly === true) return cachedPath(cached, hubId, { ...options, root: cache.root });
  const pull = new Pull(cache, hubId, options);
  try {
    return await pull.run(cached?.missing === undefined && cached !== undefined);
  } catch (error) {
    const known = Text2ImgError.from(error);
    if (cached === undefined || cached.missing !== undefined || !pull.mayUseCached(known, cached)) throw known;
    options.logger.warning('the hub cannot be reached; the model is taken from the cache', {
      model: hubName(hubId),
      commit: cached.commit,
      error: known,
    });
    return cached.path;
  }
}

/** @throws `model_not_found` */
function cachedPath(
  cached: CachedSnapshot | undefined,
  hubId: HubId,
  { root, offline, component }: Pick<FetchCheckpointOptions, 'offline' | 'component'> & { readonly root: string },
): string {
  if (cached !== undefined && cached.missing === undefined) return cached.path;
  const model = hubName(hubId);
  const name = `the ${component === undefined ? 'model' : 'repository'} ${model} at revision ${quote(hubId.revision)}`;
  if (cached === undefined)
    throw new Text2ImgError(
      'model_not_found',
      `${name} is not in the cache ${quote(root)}${offline ? ', and --offline forbids to download it' : ''}.`,
    );
  throw new Text2ImgError(
    'model_not_found',
    `${name} is not whole in the cache ${quote(root)}: ${cached.missing}.${component === undefined ? ` "text2img models pull ${model}" downloads the rest${offline ? ', which --offline forbids' : ''}.` : ''}`,
  );
}

/** One fetching of what is missing. */
class Pull {
  readonly #cache: HubCache;
  readonly #hubId: HubId;
  readonly #options: FetchCheckpointOptions;
  /** The commit of which something in the cache is not what it should be. */
  #damagedCommit: string | undefined;
  #hasWritten = false;
  /** Of the result, in the snapshot. */
  #place: string;

  constructor(cache: HubCache, hubId: HubId, options: FetchCheckpointOptions) {
    this.#cache = cache;
    this.#hubId = hubId;
    this.#options = options;
    this.#place = hubId.file ?? '';
  }

  async run(isCached: boolean): Promise<string> {
    const { access, firstPauseMs, onProgress } = this.#options;
    const { id } = this.#hubId;
    const ask: AskOptions = {
      access,
      ...(isCached ? { tries: TRIES_WITH_CACHE } : {}),
      ...omitUndefined({ firstPauseMs }),
    };
    const commit = await resolveCommit(this.#hubId, ask);
    const listed = await listRepository({ id, revision: commit }, ask);
    const files = await this.#filesOf(listed, commit);
    const totalBytes = files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    let doneBytes = 0;
    // A model that is all in the cache is no download.
    let hasFetched = false;
    // The index comes last: a process that finds it finds all files.
    for (const file of files.toSorted((a, b) => Number(isIndex(a)) - Number(isIndex(b)))) {
      await this.#provide(file, commit, (bytes) => {
        hasFetched = true;
        onProgress?.(doneBytes + bytes, totalBytes);
      });
      doneBytes += file.sizeBytes;
      if (hasFetched) onProgress?.(doneBytes, totalBytes);
    }
    await this.#writeRef(commit);
    const folder = this.#cache.snapshotFolder(id, commit);
    return join(folder, this.#place);
  }

  async #filesOf(listed: readonly HubFile[], commit: string): Promise<readonly HubFile[]> {
    const { families, variant, component } = this.#options;
    const { id, file } = this.#hubId;
    if (file !== undefined) return [singleFileOf(listed, id, file)];
    if (component !== undefined) {
      const choice = componentFiles(listed, { id, component, variant });
      this.#place = choice.folder;
      return choice.files;
    }
    const index = await this.#readIndex(indexFile(listed, id), commit);
    const { components } = familyOf(index, families);
    return neededFiles(listed, { id, variant, index, components });
  }

  /** An older state of the model serves where the new one cannot be had; a damaged one never does. */
  mayUseCached({ code }: Text2ImgError, { commit }: CachedSnapshot): boolean {
    if (commit === this.#damagedCommit) return false;
    return (
      code === 'download_failed' ||
      (this.#options.check !== 'digest' && (code === 'store_unwritable' || code === 'disk_full'))
    );
  }

  /** The index decides what else is needed, so it is fetched first; it is linked last. */
  async #readIndex(file: HubFile, commit: string): Promise<ModelIndex> {
    const { id } = this.#hubId;
    try {
      await this.#fetchBlob(file, commit, () => undefined);
    } catch (error) {
      throw cacheError(error, this.#cache.root);
    }
    const json = await readJsonFile(this.#cache.blobPath(id, file.blob)).catch((cause: unknown) => {
      throw new Text2ImgError('invalid_model_index', Text2ImgError.from(cause).message, { cause });
    });
    return parseModelIndex(json, `${id}/${file.path}`);
  }

  async #provide(file: HubFile, commit: string, onProgress: (bytes: number) => void): Promise<void> {
    try {
      await this.#fetchBlob(file, commit, onProgress);
      const link = { commit, path: file.path, blob: file.blob };
      if (await this.#cache.link(this.#hubId.id, link)) this.#hasWritten = true;
    } catch (error) {
      throw cacheError(error, this.#cache.root);
    }
  }

  async #fetchBlob(file: HubFile, commit: string, onProgress: (bytes: number) => void): Promise<void> {
    const { access, check = 'size', firstPauseMs, patience } = this.#options;
    const { id } = this.#hubId;
    const path = this.#cache.blobPath(id, file.blob);
    const state = await blobState(path, file, check);
    if (state === 'damaged') this.#damagedCommit = commit;
    if (state === 'whole') return;
    this.#hasWritten = true;
    await this.#cache.prepareRefs(id);
    await downloadFile(file, {
      hubId: this.#hubId,
      commit,
      access,
      path,
      check,
      onProgress,
      ...omitUndefined({ firstPauseMs, patience }),
    });
  }

  /** In a cache that may only be read a whole model is used all the same. */
  async #writeRef(commit: string): Promise<void> {
    try {
      await this.#cache.writeRef(this.#hubId, commit);
    } catch (error) {
      if (this.#hasWritten || !isReadOnly(error)) throw cacheError(error, this.#cache.root);
      this.#options.logger.warning('the hub’s cache is read-only; the commit of the revision is not stored', {
        model: this.#hubId.id,
        commit,
      });
    }
  }
}

function isIndex({ path }: { readonly path: string }): boolean {
  return path === 'model_index.json';
}
