/** The images of a completed job: where they lie in the store, and their bytes. */
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { quote } from '../../lib/foreign-text.ts';
import type { JobSummary, PromptQueue } from '../../queue/prompt-queue.ts';
import type { ImageStore, OpenImage } from '../../storage/image-store.ts';
import { objectKey } from '../../storage/object-key.ts';
import type { StoredImage } from './front.ts';

export interface ImagePlaces {
  readonly queue: Pick<PromptQueue, 'identify'>;
  readonly store: ImageStore;
  /** The images' names begin with it. */
  readonly objectPrefix: string;
}

/** A PNG of the largest size that a request may ask for is smaller. */
const MAX_IMAGE_BYTES = 256 * 1024 * 1024;

/** Empty for a job that has not completed. @throws `deleted` for one that is gone: a client must never take that for a success without images */
export async function storedImages(
  { id, status, imageUrls = [], seed = 0 }: JobSummary,
  { queue, store, objectPrefix: prefix }: ImagePlaces,
): Promise<readonly StoredImage[]> {
  if (status !== 'completed') return [];
  const identity = await queue.identify(id);
  if (identity === undefined) throw new Text2ImgError('deleted', `The job ${quote(id)} has been deleted.`);
  const { docKey, objectName } = identity;
  return imageUrls.map((_, index) => {
    const name = objectKey(identity.id, { prefix, imageIndex: index, objectName });
    const open = async (): Promise<OpenImage> => {
      const found = await store.open(name, { maxBytes: MAX_IMAGE_BYTES, docKey });
      if (found !== undefined) return found;
      throw new Text2ImgError('deleted', `Image ${index + 1} of the job ${quote(id)} has been deleted.`);
    };
    return { index, seed: seed + index, name, open };
  });
}
