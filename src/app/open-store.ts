/** Opens the store that the settings name: a folder, or a bucket of Google Cloud Storage. Only the chosen one's code is loaded. */
import type { Logger } from '../observability/logger.ts';
import type { ImageStore } from '../storage/image-store.ts';
import { publicUrlUnder } from '../storage/public-url.ts';
import type { StoreSettings } from './settings.ts';

export interface OpenStore extends AsyncDisposable {
  readonly store: ImageStore;
  /** Turns the stored URL into the one that webhooks carry. */
  readonly publicUrl: (storedUrl: string) => Promise<string>;
}

/** Nothing is asked of the bucket yet. @throws `conflicting_options` for signed URLs without a key that can sign */
export async function openStore(settings: StoreSettings, { logger }: { readonly logger: Logger }): Promise<OpenStore> {
  const { place, prefix, publicUrlBase } = settings;
  if (place.kind === 'folder') {
    const { FileImageStore } = await import('../storage/file/file-image-store.ts');
    const store = new FileImageStore(place.dataDir, { prefix });
    return opened(store, publicUrlBase === undefined ? asStored : underBase(store, publicUrlBase));
  }
  const { bucket, google, signedUrls } = place;
  const { GcsImageStore } = await import('../storage/gcs/gcs-image-store.ts');
  const store = new GcsImageStore({ bucket, prefix, logger, ...google });
  if (publicUrlBase !== undefined) return opened(store, underBase(store, publicUrlBase));
  if (!signedUrls) return opened(store, asStored);
  const { checkCanSign } = await import('../storage/gcs/google-credentials.ts');
  checkCanSign(google.credentialsFile);
  return opened(store, (url) => store.signedUrl(url));
}

function opened(store: ImageStore & AsyncDisposable, publicUrl: OpenStore['publicUrl']): OpenStore {
  return { store, publicUrl, [Symbol.asyncDispose]: () => store[Symbol.asyncDispose]() };
}

async function asStored(url: string): Promise<string> {
  return url;
}

/** The data folder is served by a web server of the operator, the bucket by a content network. */
function underBase(store: { nameOf(storedUrl: string): string }, base: string): OpenStore['publicUrl'] {
  return async (url) => publicUrlUnder(base, store.nameOf(url));
}
