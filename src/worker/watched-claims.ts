/**
 * Finds out which of this worker's jobs somebody watches. While the worker holds jobs it looks once a second, with one query by their ids. A job that somebody watches is
 * renewed each second, so that its progress is seen and a cancel noticed. Its engine makes previews where somebody looks at them. Nothing is asked for
 * while no job is held.
 */
import { EndablePause } from '../lib/endable-pause.ts';
import { untilAborted } from '../lib/until-aborted.ts';
import type { Logger } from '../observability/logger.ts';
import type { SideData } from '../queue/side-data.ts';
import type { ClaimedJob } from './claimed-job.ts';

export interface WatchedClaimsOptions {
  readonly watches: SideData['watches'];
  /** Those that the worker holds now. */
  readonly jobs: ReadonlySet<ClaimedJob>;
  readonly logger: Logger;
}

/** Between two looks. */
const LOOK_MS = 1000;
/** After a look that failed: the queue has its own trouble then, and previews can wait. */
const AFTER_FAILURE_MS = 10_000;

export class WatchedClaims implements Disposable {
  readonly #options: WatchedClaimsOptions;
  readonly #pause = new EndablePause();
  readonly #ended = new AbortController();
  #isLooking = false;
  #nextLookMs = -Infinity;

  constructor(options: WatchedClaimsOptions) {
    this.#options = options;
  }

  /** A job was claimed. The look comes at once, unless there was one within a second. */
  claimed(): void {
    if (!this.#isLooking) void this.#lookWhileHolding();
  }

  [Symbol.dispose](): void {
    this.#ended.abort();
  }

  async #lookWhileHolding(): Promise<void> {
    const { jobs } = this.#options;
    const { signal } = this.#ended;
    this.#isLooking = true;
    while (jobs.size > 0 && !signal.aborted) {
      const waitMs = this.#nextLookMs - performance.now();
      if (waitMs > 0) await this.#pause.pause(waitMs, signal);
      else await this.#look();
    }
    this.#isLooking = false;
  }

  async #look(): Promise<void> {
    const { watches, jobs, logger } = this.#options;
    this.#nextLookMs = performance.now() + LOOK_MS;
    const held = Array.from(jobs);
    try {
      const marked = await untilAborted(watches.marked(held.map(({ id }) => id)), this.#ended.signal);
      if (marked === undefined) return;
      for (const job of held) job.watch(marked.get(job.id));
    } catch (error) {
      this.#nextLookMs = performance.now() + AFTER_FAILURE_MS;
      logger.repeated('the worker cannot find out who watches its jobs; there are no previews meanwhile', { error });
    }
  }
}
