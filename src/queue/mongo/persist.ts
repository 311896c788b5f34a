/**
 * Every call to the server goes through here: with a deadline of our own, because the driver's `timeoutMS` bounds nothing here since 7.8, and
 * with repetitions, because the driver tries a write only twice and an election takes longer. Each statement can be repeated: under a token
 * the second writing of the same finds nothing to do.
 */
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { pause } from '../../lib/pause.ts';
import { isDoubtful, queueError } from './mongo-errors.ts';

export interface Persistence {
  /** Names the queue in errors. */
  readonly place: string;
  /** One try. A server that lets it pass is not asked again here: the try may still be running. */
  readonly deadlineMs: number;
  /** All tries together. */
  readonly patienceMs: number;
  /** Aborted: nothing is waited for any longer. */
  readonly signal?: AbortSignal | undefined;
  /** Whether something was changed so that saying the statement again may help. */
  readonly mends?: (error: unknown) => boolean;
}

const FIRST_PAUSE_MS = 20;
const MAX_PAUSE_MS = 1000;
/** An answer that may be about the document or not is asked for so often. */
const MAX_DOUBTS = 3;
/** Indexes that are mended; there are three. */
const MAX_MENDINGS = 4;

/** @throws `queue_failed`, `queue_refused`, `queue_unauthorized`, `invalid_document` */
export async function persist<T>(call: () => Promise<T>, options: Persistence): Promise<T> {
  const { place, patienceMs, signal, mends } = options;
  const startedMs = performance.now();
  let [doubts, mendings] = [0, 0];
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 2, MAX_PAUSE_MS)) {
    if (signal?.aborted === true) throw stopped(place);
    try {
      return await withDeadline(call(), options);
    } catch (raw) {
      if (raw instanceof Abandoned) throw raw.error;
      if (mends?.(raw) === true && ++mendings <= MAX_MENDINGS) continue;
      const error = queueError(raw, place);
      const mayPass = error.code === 'queue_failed' || (isDoubtful(raw) && ++doubts < MAX_DOUBTS);
      if (!mayPass || performance.now() - startedMs + pauseMs > patienceMs) throw error;
      await pause(pauseMs * (0.5 + Math.random()), signal);
    }
  }
}

/** The try goes on, but nobody waits for it. */
class Abandoned extends Error {
  readonly error: Text2ImgError;

  constructor(error: Text2ImgError) {
    super(error.message);
    this.error = error;
  }
}

function stopped(place: string): Text2ImgError {
  return new Text2ImgError('queue_failed', `${place} is not waited for any longer, because the worker stops.`);
}

async function withDeadline<T>(call: Promise<T>, { place, deadlineMs, signal }: Persistence): Promise<T> {
  const { promise: abandoned, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => reject(new Abandoned(new Text2ImgError('queue_failed', `${place} did not answer within ${deadlineMs} ms.`))),
    deadlineMs,
  );
  const stop = (): void => reject(new Abandoned(stopped(place)));
  signal?.addEventListener('abort', stop, { once: true });
  // Whatever comes of it after that is nobody's.
  call.catch(() => undefined);
  try {
    return await Promise.race([call, abandoned]);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', stop);
  }
}
