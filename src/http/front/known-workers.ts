/** The workers' reports about themselves, read again every few seconds. Nothing relies on it for correctness: it says what a user may expect. */
import { pause } from '../../lib/pause.ts';
import type { Logger } from '../../observability/logger.ts';
import type { SideData, WorkerRecord } from '../../queue/side-data.ts';

export interface KnownWorkersOptions {
  readonly workers: SideData['workers'];
  /** False: workers cannot tell anything. */
  readonly canWrite: SideData['canWrite'];
  readonly logger: Logger;
}

/** Workers beat as often. */
const READ_MS = 10_000;

export class KnownWorkers implements AsyncDisposable {
  readonly #options: KnownWorkersOptions;
  readonly #ended = new AbortController();
  readonly #reading: Promise<void>;
  #living: readonly WorkerRecord[] | undefined;
  #models: readonly string[] = [];

  private constructor(options: KnownWorkersOptions) {
    this.#options = options;
    this.#reading = this.#readOn();
  }

  /** It resolves when the reports of now have been read, or cannot be. */
  static async open(options: KnownWorkersOptions): Promise<KnownWorkers> {
    const known = new KnownWorkers(options);
    await known.read();
    return known;
  }

  /** Undefined: nobody knows. */
  get living(): readonly WorkerRecord[] | undefined {
    return this.#living;
  }

  /** Those that claim jobs now: not those that still load their model. Undefined: nobody knows. */
  get working(): readonly WorkerRecord[] | undefined {
    return this.#living?.filter(({ isLoading }) => isLoading !== true);
  }

  /** Canonical ids of a day: loaded ones first, then those of living workers. */
  get models(): readonly string[] {
    const living = this.#living ?? [];
    const loaded = living.flatMap(({ loadedModel }) => loadedModel ?? []);
    return [...new Set([...loaded, ...living.flatMap(({ models }) => models), ...this.#models])];
  }

  /** Also one that still loads. Undefined: nobody knows. */
  has(model: string): boolean | undefined {
    return this.#living?.some(({ models }) => models.includes(model));
  }

  /** Until so many jobs are done, if the workers do nothing else. They count the time that they were busy, so hours without work do not slow it. Undefined: nobody knows. */
  waitMs(jobs: number): number | undefined {
    const working = this.working ?? [];
    const images = sum(working, ({ images5min }) => images5min);
    const seconds = sum(working, ({ seconds5min }) => seconds5min);
    return images === 0 ? undefined : Math.round((jobs * 1000 * (seconds / images)) / working.length);
  }

  async read(): Promise<void> {
    const { workers, canWrite, logger } = this.#options;
    try {
      if (!(await canWrite())) return;
      const [living, models] = await Promise.all([workers.living(), workers.modelsOfDay()]);
      this.#living = living;
      this.#models = models;
    } catch (error) {
      logger.repeated('the list of workers cannot be read', { error });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended.abort();
    await this.#reading;
  }

  async #readOn(): Promise<void> {
    const { signal } = this.#ended;
    for (;;) {
      await pause(READ_MS, signal);
      if (signal.aborted) return;
      await this.read();
    }
  }
}

function sum(workers: readonly WorkerRecord[], of: (worker: WorkerRecord) => number): number {
  return workers.reduce((total, worker) => total + of(worker), 0);
}
