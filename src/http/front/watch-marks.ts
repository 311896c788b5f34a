/**
 * Marks the jobs that requests of this process wait for, so that their workers send progress and notice a cancel within a second. All of them are marked
 * in one write. Previews are asked for only where somebody looks at them.
 */
import type { Logger } from '../../observability/logger.ts';
import { type SideData, WATCH_MS } from '../../queue/side-data.ts';

export interface WatchMarksOptions {
  readonly watches: Pick<SideData['watches'], 'mark'>;
  readonly logger: Logger;
}

/** A mark lasts ten. */
const RENEW_MS = 5000;
/** Waits that begin together are one write. */
const GATHER_MS = 10;

/** The requests that wait for a job. */
interface Kept {
  waits: number;
  /** Of them, those that show previews. */
  showing: number;
}

export class WatchMarks implements Disposable {
  readonly #options: WatchMarksOptions;
  readonly #kept = new Map<string, Kept>();
  /** When somebody's question for a preview was written last. */
  readonly #asked = new Map<string, number>();
  /** When a job was marked that nobody waits for yet. */
  readonly #fresh = new Map<string, number>();
  /** To be written next. */
  readonly #due = new Set<string>();
  #renewing: NodeJS.Timeout | undefined;
  #gathering: NodeJS.Timeout | undefined;
  #isWriting = false;

  constructor(options: WatchMarksOptions) {
    this.#options = options;
  }

  /** Before the jobs are added. @throws what the queue throws */
  async mark(promptIds: readonly string[]): Promise<void> {
    await this.#options.watches.mark(promptIds.map((promptId) => ({ promptId, wantsPreviews: false })));
    forgetOld(this.#fresh, RENEW_MS);
    for (const promptId of promptIds) this.#fresh.set(promptId, performance.now());
  }

  /** A request waits for the job. @returns ends it */
  keep(promptId: string, { withPreviews }: { readonly withPreviews: boolean }): () => void {
    const kept = this.#kept.get(promptId) ?? { waits: 0, showing: 0 };
    this.#kept.set(promptId, kept);
    kept.waits++;
    if (withPreviews) kept.showing++;
    this.#renewing ??= setInterval(() => this.#renew(), RENEW_MS);
    forgetOld(this.#fresh, RENEW_MS);
    const isMarked = this.#fresh.delete(promptId);
    if (withPreviews || (!isMarked && kept.waits === 1)) this.#soon(promptId);
    let isKept = true;
    return () => {
      if (!isKept) return;
      isKept = false;
      kept.waits--;
      if (withPreviews) kept.showing--;
      if (kept.waits === 0) this.#kept.delete(promptId);
      if (this.#kept.size === 0) this.#stopRenewing();
    };
  }

  /** Somebody wants to see a preview of the job now, and probably again soon. */
  ask(promptId: string): void {
    const nowMs = performance.now();
    if (nowMs - (this.#asked.get(promptId) ?? -Infinity) < RENEW_MS) return;
    // The ones that were asked for last stand at the end.
    this.#asked.delete(promptId);
    this.#asked.set(promptId, nowMs);
    this.#soon(promptId);
  }

  [Symbol.dispose](): void {
    this.#stopRenewing();
    clearTimeout(this.#gathering);
    this.#gathering = undefined;
  }

  #stopRenewing(): void {
    clearInterval(this.#renewing);
    this.#renewing = undefined;
  }

  #renew(): void {
    for (const promptId of this.#kept.keys()) this.#due.add(promptId);
    void this.#writeDue();
  }

  #soon(promptId: string): void {
    this.#due.add(promptId);
    this.#gathering ??= setTimeout(() => {
      this.#gathering = undefined;
      void this.#writeDue();
    }, GATHER_MS);
  }

  /** One write at a time: a queue that hangs gets no pile of them. Never rejects. */
  async #writeDue(): Promise<void> {
    if (this.#isWriting) return;
    this.#isWriting = true;
    try {
      while (this.#due.size > 0) {
        const promptIds = [...this.#due];
        this.#due.clear();
        forgetOld(this.#asked, WATCH_MS);
        await this.#options.watches.mark(
          promptIds.map((promptId) => ({ promptId, wantsPreviews: this.#wantsPreviews(promptId) })),
        );
      }
    } catch (error) {
      this.#options.logger.repeated('jobs that requests wait for cannot be marked', { error });
    } finally {
      this.#isWriting = false;
    }
  }

  #wantsPreviews(promptId: string): boolean {
    return (this.#kept.get(promptId)?.showing ?? 0) > 0 || this.#asked.has(promptId);
  }
}

/** The oldest stand in front. */
function forgetOld(times: Map<string, number>, ageMs: number): void {
  const oldestMs = performance.now() - ageMs;
  for (const [key, ms] of times) {
    if (ms > oldestMs) return;
    times.delete(key);
  }
}
