/**
 * The events of one job for one reader. A reader may be slow, and a job may make a preview a second. So the feed keeps only the newest event of each
 * kind: the memory of a reader has a bound, and it reads the present state.
 */
import { EndablePause } from '../../lib/endable-pause.ts';
import { isRecord, own } from '../../lib/foreign-record.ts';

export const EVENT_NAMES = ['status', 'progress', 'preview', 'completed', 'error'] as const;

/** An event as it is sent. */
export interface SentEvent {
  readonly event: (typeof EVENT_NAMES)[number];
  /** A client that lost its connection names the last one that it got. Absent: the event need not be repeated. */
  readonly id?: string;
  readonly data: unknown;
}

/** Nothing happened in the given time, or nothing more will. */
type Silence = 'quiet' | 'ended';

export class EventFeed {
  readonly #waiting = new Map<SentEvent['event'], SentEvent>();
  readonly #news = new EndablePause();
  readonly #signal: AbortSignal;
  /** The last event with an id. */
  #last: SentEvent | undefined;
  /** Until there is news, what the reader has seen on an earlier connection. */
  #lastId: string | undefined;
  #isEnded = false;

  /** @param signal aborted when the reader is gone @param lastId of the event that the reader got last, on an earlier connection */
  constructor(signal: AbortSignal, lastId?: string) {
    this.#signal = signal;
    this.#lastId = lastId;
  }

  /** Of the same kind, the newer one takes the place of one that was not read yet. */
  push(event: SentEvent): void {
    if (this.#isEnded || isOld(event, this.#last) || isSeen(event, this.#lastId)) return;
    if (event.id !== undefined) {
      this.#last = event;
      this.#lastId = undefined;
    }
    this.#waiting.delete(event.event);
    this.#waiting.set(event.event, event);
    this.#news.end();
  }

  /** Events that wait are still read. */
  end(): void {
    this.#isEnded = true;
    this.#news.end();
  }

  /** The oldest event that waits. `quiet`: none came within `quietMs`. */
  async next(quietMs: number): Promise<SentEvent | Silence> {
    const endMs = performance.now() + quietMs;
    while (this.#waiting.size === 0 && !this.#isEnded && !this.#signal.aborted) {
      // The pause also ends for news that were read already.
      const leftMs = endMs - performance.now();
      if (leftMs <= 0) return 'quiet';
      await this.#news.pause(leftMs, this.#signal);
    }
    const [event] = this.#waiting.values();
    if (event === undefined) return 'ended';
    this.#waiting.delete(event.event);
    return event;
  }
}

/** The same state again. A status that now has another place in the queue is news. */
function isOld({ event, id, data }: SentEvent, last: SentEvent | undefined): boolean {
  if (id === undefined || last?.id === undefined) return false;
  // Progress has said that the job is processing.
  if (event === 'status' && last.id.startsWith(`${id}.`)) return true;
  if (last.id !== id || last.event !== event) return false;
  return event !== 'status' || aheadOf(data) === undefined || aheadOf(data) === aheadOf(last.data);
}

/** Whether a reader that has seen the event `lastId` learns nothing from this one. */
export function isSeen({ event, id }: SentEvent, lastId: string | undefined): boolean {
  if (id === undefined || lastId === undefined) return false;
  // Progress tells that the job is processing.
  return id === lastId || (event === 'status' && lastId.startsWith(`${id}.`));
}

function aheadOf(data: unknown): unknown {
  return isRecord(data) ? own(data, 'ahead') : undefined;
}
