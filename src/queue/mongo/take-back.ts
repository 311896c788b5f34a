/** Removes the documents that a refused `enqueue` has added already. A user who may not remove cancels it instead. */
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { pause } from '../../lib/pause.ts';
import { errorText } from '../failure-text.ts';
import { literal } from './expressions.ts';
import type { PromptsCollection } from './prompts-collection.ts';
import type { PromptFilter, PromptUpdate } from './statement-types.ts';

/** Ids of one statement. */
const IDS_AT_ONCE = 1000;
/** A statement that nobody waits for any more may still add documents meanwhile. */
const UNSURE_PAUSE_MS = 2000;

interface AddedRecords {
  /** Their `_id`s. */
  readonly ids: readonly unknown[];
  readonly enqueueId: string;
  /** An attempt may still be running on the server. */
  readonly isUnsure: boolean;
}

/** @returns undefined when all is gone, else a sentence that says what is left. Never throws. */
export async function takeBack(
  prompts: PromptsCollection,
  { isUnsure, ...added }: AddedRecords,
): Promise<string | undefined> {
  try {
    await removeAll(prompts, added);
    if (isUnsure) {
      await pause(UNSURE_PAUSE_MS);
      await removeAll(prompts, added);
    }
    return undefined;
  } catch (error) {
    if (!(error instanceof Text2ImgError && error.code === 'queue_unauthorized')) return leftSentence(added.enqueueId);
  }
  try {
    const cancelled = await cancelAll(prompts, added);
    return cancelled === 0
      ? undefined
      : `This user may not remove documents: ${cancelled} that had been added were cancelled instead ("job.enqueue_id" is "${added.enqueueId}").`;
  } catch {
    return leftSentence(added.enqueueId);
  }
}

type Part = Omit<AddedRecords, 'isUnsure'>;

async function removeAll(prompts: PromptsCollection, added: Part): Promise<void> {
  for (const filter of filtersOf(added)) await prompts.run(() => prompts.collection.deleteMany(filter));
}

async function cancelAll(prompts: PromptsCollection, added: Part): Promise<number> {
  const error = errorText({ code: 'cancelled', message: 'the enqueue that added it was refused.' });
  const update: PromptUpdate = [{ $set: { status: 'error', error: literal(error), error_at: '$$NOW' } }];
  let count = 0;
  for (const filter of filtersOf(added)) {
    const { matchedCount } = await prompts.run(() => prompts.collection.updateMany(filter, update));
    count += matchedCount;
  }
  return count;
}

/** Only what this call has added, and what no worker has taken since. */
function* filtersOf({ ids, enqueueId }: Part): Generator<PromptFilter> {
  for (let from = 0; from < ids.length; from += IDS_AT_ONCE) {
    const _id = { $in: ids.slice(from, from + IDS_AT_ONCE) };
    yield { _id, 'job.enqueue_id': enqueueId, status: 'pending', 'job.token': { $exists: false } };
  }
}

/** Where it is not known what was added, or all of it stays. */
export function leftSentence(enqueueId: string): string {
  return `Some of the documents may have been added: those whose "job.enqueue_id" is "${enqueueId}".`;
}
