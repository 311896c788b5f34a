/** Deletes a job and its images: the images first, so that no object is left without a document that names it. */
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { quote } from '../../lib/foreign-text.ts';
import type { JobSummary } from '../../queue/prompt-queue.ts';
import { objectKey } from '../../storage/object-key.ts';
import type { ImagePlaces } from './stored-images.ts';
import type { PromptQueue } from '../../queue/prompt-queue.ts';

export interface RemovePlaces extends ImagePlaces {
  readonly queue: Pick<PromptQueue, 'identify' | 'remove' | 'cancel'>;
}

/** A job that has not ended is cancelled. @throws `store_refused` without the right to delete, and then the document stays */
export async function removeJob(job: JobSummary, { queue, store, objectPrefix: prefix }: RemovePlaces): Promise<void> {
  const { id, status } = job;
  const expected = imagesExpected(job);
  if (status !== 'completed' && status !== 'error') await queue.cancel(id, { message: 'the job was deleted.' });
  const identity = await queue.identify(id);
  if (identity === undefined) return;
  for (let imageIndex = 0; ; imageIndex++) {
    const name = objectKey(identity.id, { prefix, imageIndex, objectName: identity.objectName });
    const outcome = await store.remove(name, identity.docKey);
    // An earlier run may have made more images than this one.
    if (outcome !== 'removed' && imageIndex + 1 >= expected) break;
  }
  if ((await queue.remove(id)) === false)
    throw new Text2ImgError('wrong_job_state', `The job ${quote(id)} was retried meanwhile; delete it again.`);
}

/** A document may name any number. */
const MOST_IMAGES = 10_000;

/** A run that failed or was cancelled may have stored some of its images, not only the first. */
function imagesExpected({ imageUrls = [], request, parameters }: JobSummary): number {
  const asked = [request?.['num_images'], parameters?.['num_images']].map(Number).filter(Number.isSafeInteger);
  return Math.min(MOST_IMAGES, Math.max(1, imageUrls.length, ...asked));
}
