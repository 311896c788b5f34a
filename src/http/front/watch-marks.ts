/** Marks the jobs that requests of this process wait for, so that their workers send progress and notice a cancel within a second. */
import type { Logger } from '../../observability/logger.ts';
import type { SideData } from '../../queue/side-data.ts';

export interface WatchMarksOptions {
  readonly watches: SideData['watches'];
  readonly logger: Logger;
}

/** A mark lasts ten. */
const RENEW_MS = 5000;
/** Statements at a time. */
const AT_ONCE = 20;

export class WatchMarks implements Disposable {
  readonly #options: WatchMarksOptions;
  /** How many waits each job has. */
  readonly #waits = new Map<string, number>();
  #timer: NodeJS.Timeout | undefined;
  #isRenewing = false;

  constructor(options: WatchMarksOptions) {
    this.#options = options;
  }

  /** @returns ends it */
  keep(promptId: string): () => void {
    this.#waits.set(promptId, (this.#waits.get(promptId) ?? 0) + 1);
    this.#timer ??= setInterval(() => this.#renew(), RENEW_MS);
    let isKept = true;
    return () => {
      if (!isKept) return;
      isKept = false;
      const left = (this.#waits.get(promptId) ?? 1) - 1;
      if (left > 0) this.#waits.set(promptId, left);
      else this.#waits.delete(promptId);
      if (this.#waits.size === 0) this[Symbol.dispose]();
    };
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #renew(): void {
    if (this.#isRenewing) return;
    this.#isRenewing = true;
    this.#renewAll()
      .catch((error: unknown) =>
        this.#options.logger.repeated('jobs that requests wait for cannot be marked', { error }),
      )
      .finally(() => (this.#isRenewing = false));
  }

  async #renewAll(): Promise<void> {
    const ids = [...this.#waits.keys()];
    for (let at = 0; at < ids.length; at += AT_ONCE)
      await Promise.all(ids.slice(at, at + AT_ONCE).map((id) => this.#options.watches.mark(id)));
  }
}
