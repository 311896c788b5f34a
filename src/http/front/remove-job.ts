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
export async function removeJob(
  { id, status, imageUrls = [] }: JobSummary,
  { queue, store, objectPrefix: prefix }: RemovePlaces,
): Promise<void> {
  if (status !== 'completed' && status !== 'error') await queue.cancel(id, { message: 'the job was deleted.' });
  const identity = await queue.identify(id);
  if (identity === undefined) return;
  for (let imageIndex = 0; ; imageIndex++) {
    const name = objectKey(identity.id, { prefix, imageIndex, objectName: identity.objectName });
    const outcome = await store.remove(name, identity.docKey);
    if (outcome === 'absent' && imageIndex >= imageUrls.length) break;
  }
  if ((await queue.remove(id)) === false)
    throw new Text2ImgError('wrong_job_state', `The job ${quote(id)} was retried meanwhile; delete it again.`);
}
