/**
 * Looks names up a few at a time. The system's resolver holds one of four threads (libuv's pool) until its server answers, which may take half a
 * minute. The same threads compress images and read files, so names that strangers write must never hold them all.
 */
import type { LookupAddress, LookupAllOptions, lookup } from 'node:dns';

export type Lookup = typeof lookup;
type Found = (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void;

interface Waiting {
  readonly lookup: Lookup;
  readonly hostname: string;
  readonly options: LookupAllOptions;
  readonly expiresMs: number;
  readonly found: Found[];
}

export interface LookupQueueOptions {
  /** Threads that it may hold. */
  readonly atOnce: number;
  /** The caller no longer waits by then, so the name is not looked up any more. */
  readonly patienceMs: number;
}

export class LookupQueue {
  readonly #options: LookupQueueOptions;
  readonly #running = new Set<Waiting>();
  readonly #waiting: Waiting[] = [];

  constructor(options: LookupQueueOptions) {
    this.#options = options;
  }

  /** All addresses of a name. One that is being looked up, or waits for it, is looked up once for all who ask. */
  find({ lookup, hostname, options }: Pick<Waiting, 'lookup' | 'hostname' | 'options'>, found: Found): void {
    const same = [...this.#running, ...this.#waiting].find(
      (one) => one.lookup === lookup && one.hostname === hostname && one.options.family === options.family,
    );
    if (same !== undefined) return void same.found.push(found);
    const expiresMs = performance.now() + this.#options.patienceMs;
    this.#waiting.push({ lookup, hostname, options, expiresMs, found: [found] });
    this.#next();
  }

  #next(): void {
    while (this.#running.size < this.#options.atOnce) {
      const next = this.#waiting.shift();
      if (next === undefined) return;
      const answer: Found = (...answered) => {
        for (const found of next.found) found(...answered);
      };
      if (performance.now() > next.expiresMs) {
        answer(
          Object.assign(new Error(`the name ${next.hostname} waited too long to be looked up`), { code: 'EAI_AGAIN' }),
          [],
        );
        continue;
      }
      this.#running.add(next);
      next.lookup(next.hostname, { ...next.options, all: true }, (error, addresses) => {
        this.#running.delete(next);
        answer(error, addresses);
        this.#next();
      });
    }
  }
}
