/** Deletes a document's object from a bucket: the generation that was looked at, and only after its owner is known. */
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { whoseObject } from '../doc-key.ts';
import type { RemoveOutcome } from '../image-store.ts';
import type { ObjectAnswer } from './gcs-answers.ts';
import type { GcsClient } from './gcs-client.ts';
import { isConditionNotMet, isRefusal, safeMessage, statusOf } from './gcs-errors.ts';
import { fromCustomMetadata } from './gcs-metadata.ts';

export interface Removal {
  readonly object: ObjectAnswer;
  readonly docKey: string;
  /** For sentences. */
  readonly url: string;
}

/** `changed`: somebody wrote the object between the look and the deletion. @throws `store_refused` */
export async function removeGeneration(
  client: GcsClient,
  { object, docKey, url }: Removal,
): Promise<RemoveOutcome | 'changed'> {
  const metadata = fromCustomMetadata(object.metadata);
  if (metadata === undefined || whoseObject(metadata.docKey, docKey) !== 'same') return 'foreign';
  try {
    await client.remove(object.name, object.generation);
    return 'removed';
  } catch (error) {
    if (isConditionNotMet(error)) return 'changed';
    // An attempt whose answer was lost has deleted it.
    if (statusOf(error) === 404) return 'removed';
    if (!isRefusal(error)) throw error;
    throw new Text2ImgError(
      'store_refused',
      `the bucket does not let these credentials delete ${url}: ${safeMessage(error)}. Deleting needs storage.objects.delete, and no hold or retention on the object.`,
      { cause: error },
    );
  }
}
