/**
 * Reports jobs whose status changed or that were deleted, from a change stream. It is a hint only. A stream that fails or ends is opened anew without a
 * token, after pauses that grow. Then its listener hears that it may have missed something.
 */
import type { ChangeStream, ChangeStreamDocument, Collection } from 'mongodb';
import { promptIdText } from '../../job/document-id.ts';
import { growingPauseMs, pause } from '../../lib/pause.ts';
import { untilAborted } from '../../lib/until-aborted.ts';
import type { Logger } from '../../observability/logger.ts';
import type { ChangeListeners } from '../prompt-queue.ts';
import { documentIdOf } from './bson-ids.ts';
import { closeWithin } from './mongo-client.ts';
import { mongoErrorCode, NOT_A_REPLICA_SET, reasonOf } from './mongo-errors.ts';
import { MAJORITY } from './prompts-collection.ts';

/** The server reports the pipeline update of a tiny document as a replacement (measured). */
const STATUS_CHANGED = [
  {
    $match: {
      $or: [
        { operationType: 'update', 'updateDescription.updatedFields.status': { $exists: true } },
        { operationType: 'replace', 'fullDocument.status': { $exists: true } },
        { operationType: 'delete' },
      ],
    },
  },
  // No document travels.
  { $project: { _id: 1, operationType: 1, documentKey: 1 } },
];

const REOPENING = { firstMs: 500, maxMs: 30_000 } as const;
/** A stream that held so long was well. */
const WELL_MS = 60_000;

export async function watchChanges(
  { collection, logger }: { readonly collection: Collection; readonly logger: Logger },
  listeners: ChangeListeners,
): Promise<void> {
  const { signal } = listeners;
  let failures = 0;
  while (!signal.aborted) {
    const openedMs = performance.now();
    const error = await watchOnce(collection, listeners);
    if (signal.aborted || mongoErrorCode(error) === NOT_A_REPLICA_SET) return;
    failures = performance.now() - openedMs > WELL_MS ? 1 : failures + 1;
    const reason = error === undefined ? 'it ended' : reasonOf(error);
    logger.debug('the change stream of the jobs ended; it is opened again', { reason });
    await pause(growingPauseMs(failures, REOPENING), signal);
  }
}

/** @returns why it ended; undefined: it was closed */
async function watchOnce(collection: Collection, listeners: ChangeListeners): Promise<unknown> {
  const stream = collection.watch(STATUS_CHANGED, MAJORITY);
  try {
    await tellChanges(stream, listeners);
    return undefined;
  } catch (error) {
    return error;
  } finally {
    await closeWithin(() => stream.close());
  }
}

async function tellChanges(stream: ChangeStream, { signal, onChange, onGap }: ChangeListeners): Promise<void> {
  const tell = (change: ChangeStreamDocument | null | undefined): void => {
    const key = change !== null && change !== undefined && 'documentKey' in change ? change.documentKey : undefined;
    if (key !== undefined) onChange(promptIdText(documentIdOf(key._id)));
  };
  // Opens the stream.
  const first = await untilAborted(stream.tryNext(), signal);
  if (signal.aborted) return;
  onGap?.();
  tell(first);
  while (!signal.aborted) tell(await untilAborted(stream.next(), signal));
}
