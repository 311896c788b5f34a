/**
 * All server calls go through here. We set a deadline because the driver's `timeoutMS` has had no effect since 7.8. We retry because the driver
 * retries a write only once, and an election takes longer. Each statement can be repeated: under a token the second write finds nothing to do.
 */
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { retry } from '../../lib/retry.ts';
import { isDoubtful, isServersTrouble, queueError } from './mongo-errors.ts';

export interface CallOptions {
  /** Names the queue in errors. */
  readonly place: string;
  /** One attempt. If the server takes longer, we do not retry here: the attempt may still be running. */
  readonly deadlineMs: number;
  /** All attempts together. */
  readonly patienceMs: number;
  /** Aborted: nothing is waited for any longer. */
  readonly signal?: AbortSignal | undefined;
  /** Whether something was changed so that saying the statement again may help. */
  readonly mends?: (error: unknown) => boolean;
}

const PAUSES = { firstMs: 20, maxMs: 1000 } as const;
/** An answer that may be about the document or not is asked for so often. */
const MAX_DOUBTS = 3;
/** Indexes that are mended; there are fewer. */
const MAX_MENDINGS = 10;

/** @throws `queue_failed`, `disk_full`, `queue_refused`, `queue_unauthorized`, `invalid_document` */
export async function callServer<T>(call: () => Promise<T>, options: CallOptions): Promise<T> {
  const { place, patienceMs, signal, mends } = options;
  let [doubts, mendings] = [0, 0];
  const attempt = async (): Promise<T> => {
    for (;;) {
      try {
        return await withDeadline(call, options);
      } catch (raw) {
        if (raw instanceof Abandoned || mends?.(raw) !== true || ++mendings > MAX_MENDINGS) throw raw;
      }
    }
  };
  const mayHelp = (raw: unknown): boolean =>
    !(raw instanceof Abandoned) &&
    (isServersTrouble(queueError(raw, place)) || (isDoubtful(raw) && ++doubts < MAX_DOUBTS));
  try {
    return await retry(attempt, { ...PAUSES, mayHelp, deadlineMs: patienceMs, signal });
  } catch (raw) {
    if (raw instanceof Abandoned) throw raw.error;
    const error = queueError(raw, place);
    throw signal?.aborted === true && isServersTrouble(error) ? stopped(place) : error;
  }
}

/** The attempt goes on, but nobody waits for it. */
class Abandoned extends Error {
  readonly error: Text2ImgError;

  constructor(error: Text2ImgError) {
    super(error.message);
    this.error = error;
  }
}

function stopped(place: string): Text2ImgError {
  return new Text2ImgError('queue_failed', `${place} did not answer before the worker stopped.`);
}

async function withDeadline<T>(begin: () => Promise<T>, { place, deadlineMs, signal }: CallOptions): Promise<T> {
  if (signal?.aborted === true) throw new Abandoned(stopped(place));
  const call = begin();
  const { promise: abandoned, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => reject(new Abandoned(new Text2ImgError('queue_failed', `${place} did not answer within ${deadlineMs} ms.`))),
    deadlineMs,
  );
  const stop = (): void => reject(new Abandoned(stopped(place)));
  signal?.addEventListener('abort', stop, { once: true });
  // Nobody needs a later result or error of this call.
  call.catch(() => undefined);
  try {
    return await Promise.race([call, abandoned]);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', stop);
  }
}
