/**
 * Every call to the server goes through here: with a deadline of our own, because the driver's `timeoutMS` bounds nothing here since 7.8, and
 * with repetitions, because the driver tries a write only twice and an election takes longer. Each statement can be repeated: under a token
 * the second writing of the same finds nothing to do.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { queueError } from './mongo-errors.ts';

export interface Persistence {
  /** Names the queue in errors. */
  readonly place: string;
  /** One try. */
  readonly deadlineMs: number;
  /** All tries together; the last one may end later by its deadline. */
  readonly patienceMs: number;
}

const FIRST_PAUSE_MS = 20;
const MAX_PAUSE_MS = 1000;

/** @throws `queue_failed`, `queue_unauthorized`, `invalid_document` */
export async function persist<T>(call: () => Promise<T>, { place, deadlineMs, patienceMs }: Persistence): Promise<T> {
  const startedMs = performance.now();
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 2, MAX_PAUSE_MS)) {
    try {
      return await withDeadline(call(), { place, deadlineMs });
    } catch (raw) {
      const error = queueError(raw, place);
      if (error.code !== 'queue_failed' || performance.now() - startedMs + pauseMs > patienceMs) throw error;
      await sleep(pauseMs * (0.5 + Math.random()));
    }
  }
}

async function withDeadline<T>(
  call: Promise<T>,
  { place, deadlineMs }: Pick<Persistence, 'place' | 'deadlineMs'>,
): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new Text2ImgError('queue_failed', `${place} did not answer within ${deadlineMs} ms.`)),
      deadlineMs,
    );
  });
  // Whatever comes of it after the deadline is nobody's.
  call.catch(() => undefined);
  try {
    return await Promise.race([call, late]);
  } finally {
    clearTimeout(timer);
  }
}
