/**
 * Opens the queue and the store that the options name: the embedded pair in `--data-dir`, or MongoDB and a bucket.
 */
import { hostname } from 'node:os';
import { join } from 'node:path';
import { googleEnvironment } from '../config/google.ts';
import { nameInUse } from '../config/parse.ts';
import { resolveMode } from '../config/mode.ts';
import { MongoPromptQueue } from '../queue/mongo/mongo-prompt-queue.ts';
import type { PromptQueue } from '../queue/prompt-queue.ts';
import { SqlitePromptQueue } from '../queue/sqlite/sqlite-prompt-queue.ts';
import { FileImageStore } from '../storage/file-image-store.ts';
import { GcsImageStore } from '../storage/gcs-image-store.ts';
import type { ImageStore } from '../storage/image-store.ts';
import { checkCanSign } from '../storage/google-credentials.ts';
import { publicUrlUnder } from '../storage/public-url.ts';
import type { CommandContext } from '../cli/command-context.ts';

export interface OpenQueueOptions {
  /** For commands that add nothing: where there is no queue yet, none is made, and it looks empty. */
  readonly looksOnly?: boolean;
}

/** MongoDB is not asked yet. @throws `conflicting_options`, `invalid_option`, `queue_failed`, `disk_full` */
export function openQueue(
  { config, logger }: CommandContext,
  { looksOnly = false }: OpenQueueOptions = {},
): PromptQueue {
  const mode = resolveMode(config);
  const common = {
    leaseMs: config.leaseSeconds * 1000,
    maxAttempts: config.maxAttempts,
    owner: `${hostname()}:${process.pid}`,
  };
  if (mode.kind === 'production')
    return new MongoPromptQueue({
      uri: mode.mongoUri,
      uriName: nameInUse(config, 'mongoUri'),
      collection: config.collection,
      logger,
      ...common,
    });
  return new SqlitePromptQueue({ path: join(mode.dataDir, 'queue.sqlite'), looksOnly, ...common });
}

export interface OpenStore extends AsyncDisposable {
  readonly store: ImageStore;
  /** What a webhook's receiver gets instead of the stored URL. */
  readonly publicUrl: (storedUrl: string) => Promise<string>;
}

/** Nothing is asked of the bucket yet. @throws `conflicting_options` */
export function openStore({ config, logger }: CommandContext): OpenStore {
  const mode = resolveMode(config);
  if (mode.kind === 'embedded') {
    const store = new FileImageStore(mode.dataDir, { prefix: config.gcsPrefix });
    const publicUrl = publicUrlOf(config, store) ?? (async (url) => url);
    return { store, publicUrl, [Symbol.asyncDispose]: () => store[Symbol.asyncDispose]() };
  }
  const google = googleEnvironment();
  const store = new GcsImageStore({ bucket: mode.gcsBucket, prefix: config.gcsPrefix, logger, ...google });
  const publicUrl = publicUrlOf(config, store) ?? signedUrlOf(config, store) ?? (async (url) => url);
  return { store, publicUrl, [Symbol.asyncDispose]: () => store[Symbol.asyncDispose]() };
}

/** The data folder is served by a web server of the operator, the bucket by a content network. */
function publicUrlOf(
  { publicUrlBase }: CommandContext['config'],
  store: FileImageStore | GcsImageStore,
): OpenStore['publicUrl'] | undefined {
  if (publicUrlBase === undefined) return undefined;
  return async (url) => publicUrlUnder(publicUrlBase, store.nameOf(url));
}

function signedUrlOf(
  { signedUrls }: CommandContext['config'],
  store: GcsImageStore,
): OpenStore['publicUrl'] | undefined {
  if (!signedUrls) return undefined;
  checkCanSign(googleEnvironment().credentialsFile);
  return (url) => store.signedUrl(url);
}
