/** How much a worker generated in the last five minutes: what an estimate of the waiting time is made from. */

const WINDOW_MS = 5 * 60_000;

interface Entry {
  readonly endedMs: number;
  readonly busyMs: number;
  readonly images: number;
}

export class RecentWork {
  readonly #now: () => number;
  #entries: readonly Entry[] = [];
  /** Batches under way, of all engines. */
  #running = 0;
  #countedUntilMs = 0;

  /** @param now a monotonic clock */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  begin(): void {
    if (this.#running === 0) this.#countedUntilMs = this.#now();
    this.#running++;
  }

  /** @param images that the batch gave */
  end(images: number): void {
    const endedMs = this.#now();
    // Engines that work at the same time share the seconds.
    this.#entries = [...this.#recent(), { endedMs, busyMs: endedMs - this.#countedUntilMs, images }];
    this.#countedUntilMs = endedMs;
    this.#running--;
  }

  /** Images, and the seconds in which at least one engine generated. */
  get sums(): { readonly images: number; readonly seconds: number } {
    const recent = this.#recent();
    const images = recent.reduce((sum, entry) => sum + entry.images, 0);
    return { images, seconds: recent.reduce((sum, entry) => sum + entry.busyMs, 0) / 1000 };
  }

  #recent(): readonly Entry[] {
    const oldestMs = this.#now() - WINDOW_MS;
    return this.#entries.filter(({ endedMs }) => endedMs >= oldestMs);
  }
}
