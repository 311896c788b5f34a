/**
 * The worker: asks the engine pool for a slot, claims for it, generates, publishes, until the queue is drained or the signal stops it. The stages
 * overlap, so that no engine waits for the network. Towards the end of a batch the pool gives the next slot. The worker encodes, uploads and completes
 * images while the engine generates the next ones. Everything is bounded: one batch ahead of each engine, `MAX_PUBLISHING` jobs behind.
 */
import type { EngineSlot } from '../engine/pool.ts';
import { Text2ImgError } from '../errors/text2img-error.ts';
import { AutomaticSchedules } from '../job/automatic-schedules.ts';
import { untilAborted } from '../lib/until-aborted.ts';
import { DeadlineSweeps } from '../queue/deadline-sweeps.ts';
import type { JobProgress } from '../queue/prompt-queue.ts';
import type { WorkerRecord } from '../queue/side-data.ts';
import { Alive } from './alive.ts';
import { Claims } from './claims.ts';
import { Failures } from './failures.ts';
import { generateBatch } from './generate-batch.ts';
import { RecentWork } from './recent-work.ts';
import { Registration } from './registration.ts';
import { GracefulStop } from './shutdown.ts';
import { Trouble } from './trouble.ts';
import { DEFAULT_PATIENCE, idle, isDrained, sitOut } from './waits.ts';
import { WatchedClaims } from './watched-claims.ts';
import type { WorkerContext } from './worker-context.ts';
import { workerRecord } from './worker-facts.ts';
import type { WorkerEvent, WorkerOptions, WorkerSummary } from './worker-contract.ts';

/** Generated images that wait for the network; above it the engines wait too, instead of the memory filling up. */
const MAX_PUBLISHING = 32;
/** The next batch is claimed when the present one needs this much longer, or twice what the last claim took. */
const MIN_LEAD_MS = 200;

/**
 * Runs until the end of the drain, or until the signal. The engines are warm and the store checked before this is called.
 * @throws `jobs_left` when a queue that is drained still holds what nobody may claim; the reason, when trouble lasts longer than a drain waits;
 *   what the queue throws with consequence `fail`
 */
export async function runWorker(options: WorkerOptions): Promise<WorkerSummary> {
  using worker = new Worker(options);
  return await worker.run();
}

class Worker implements Disposable {
  readonly #options: WorkerOptions;
  readonly #stop: GracefulStop;
  readonly #trouble: Trouble;
  readonly #failures: Failures;
  readonly #alive: Alive;
  readonly #watched: WatchedClaims;
  readonly #deadlines: DeadlineSweeps;
  readonly #context: WorkerContext;
  readonly #claims: Claims;
  /** Batches that have a slot, and jobs on their way from there to their end. A batch that rejects stays, so that the next wait meets it. */
  readonly #generating = new Set<Promise<void>>();
  readonly #publishing = new Set<Promise<void>>();
  readonly #ending = new AbortController();
  readonly #work = new RecentWork();
  #progress: JobProgress | undefined;
  readonly #summary = { completed: 0, failed: 0, retried: 0, released: 0, lost: 0 };

  constructor(options: WorkerOptions) {
    this.#options = options;
    const { logger, troublePatience: patience = DEFAULT_PATIENCE } = options;
    const pauses = { firstMs: patience.firstPauseMs, maxMs: patience.maxPauseMs };
    this.#trouble = new Trouble({ logger, pauses });
    this.#alive = new Alive(() => options.onAlive?.(this.#trouble.report));
    this.#stop = new GracefulStop(options);
    this.#failures = new Failures({ options, trouble: this.#trouble, stop: this.#stop });
    const { watches } = options.queue.sideData;
    this.#watched = new WatchedClaims({ watches, jobs: this.#stop.jobs, logger });
    this.#deadlines = new DeadlineSweeps({
      queue: options.queue,
      logger,
      onEnded: (ids) => this.#renewThese(new Set(ids)),
    });
    this.#context = {
      options,
      failures: this.#failures,
      automaticSchedules: new AutomaticSchedules(),
      trouble: this.#trouble,
      stop: this.#stop,
      alive: this.#alive,
      watched: this.#watched,
      deadlines: this.#deadlines,
      work: this.#work,
      ending: AbortSignal.any([options.signal, this.#ending.signal]),
      tell: (event) => this.#tell(event),
      publish: (publishing) => {
        this.#publishing.add(publishing);
        void publishing.finally(() => this.#publishing.delete(publishing));
      },
    };
    this.#claims = new Claims(this.#context);
  }

  /** @returns when all is done, or when a stop waits no longer for what does not answer */
  async run(): Promise<WorkerSummary> {
    const { queue, logger: log } = this.#options;
    await using _deadlines = this.#deadlines;
    await using _ = new Registration({ workers: queue.sideData.workers, record: () => this.#record(), logger: log });
    const summary = await untilAborted(this.#loop(), this.#stop.lastSignal);
    if (summary === undefined) {
      const jobs = Array.from(this.#stop.jobs, ({ id }) => id);
      const { logger } = this.#options;
      logger.warning('something did not answer during the stop; the remaining claims end with their leases', {
        jobs,
      });
    }
    return this.#summary;
  }

  /** Slot → claim → generate → publish. The last two go on beside the loop. */
  async #loop(): Promise<WorkerSummary> {
    const { signal } = this.#options;
    try {
      while (!signal.aborted) {
        this.#alive.now();
        await this.#untilThereIsRoom();
        // In trouble nothing is held that has no slot.
        if (this.#trouble.isRefused) this.#claims.release();
        const slot = this.#mayClaim ? await this.#nextSlot() : undefined;
        const batch = slot !== undefined && this.#mayClaim ? await this.#claimFor(slot) : undefined;
        if (slot !== undefined && batch !== undefined) this.#generate(generateBatch(batch, slot, this.#context));
        else {
          slot?.release();
          if (!signal.aborted && (await this.#rest())) break;
        }
      }
    } finally {
      this.#ending.abort();
      this.#claims.release();
      await Promise.allSettled(this.#generating);
      await Promise.all(this.#publishing);
    }
    return this.#summary;
  }

  /** In or after trouble each job waits until the one before it has shown how things are. */
  get #mayClaim(): boolean {
    return !this.#trouble.isRefused && !(this.#trouble.isCautious && this.#generating.size > 0);
  }

  async #untilThereIsRoom(): Promise<void> {
    while (this.#publishing.size >= MAX_PUBLISHING) await this.#alive.during(Promise.race(this.#publishing));
  }

  /** Undefined: the signal came, or there is no engine. */
  async #nextSlot(): Promise<EngineSlot | undefined> {
    const { pool, signal } = this.#options;
    const leadMs = Math.max(MIN_LEAD_MS, 2 * this.#claims.claimMs);
    try {
      return await this.#alive.during(pool.nextSlot({ leadMs, signal }));
    } catch (error) {
      await this.#failures.noEngine(Text2ImgError.from(error));
      return undefined;
    }
  }

  async #claimFor(slot: EngineSlot): ReturnType<Claims['next']> {
    try {
      return await this.#alive.during(this.#claims.next(slot));
    } catch (error) {
      slot.release();
      throw error;
    }
  }

  #generate(generating: Promise<void>): void {
    this.#generating.add(generating);
    generating.then(
      () => this.#generating.delete(generating),
      () => undefined,
    );
  }

  /** Nothing was claimed. @returns whether the drain is done @throws what `sitOut` and `isDrained` throw */
  async #rest(): Promise<boolean> {
    const { until } = this.#options;
    const underWay = until === 'drained' ? [...this.#generating, ...this.#publishing] : [...this.#generating];
    if (underWay.length > 0 && (until === 'drained' || !this.#mayClaim)) {
      await this.#alive.during(this.#mayClaim ? this.#untilOneEnds(underWay) : Promise.race(underWay));
      return false;
    }
    if (until === 'drained' && (await isDrained(this.#context))) return true;
    await (this.#trouble.isRefused ? sitOut(this.#context) : idle(this.#options));
    return false;
  }

  /** Or until there may be something to claim: another engine may be idle for as long as one of a job's images takes. */
  async #untilOneEnds(underWay: readonly Promise<void>[]): Promise<void> {
    const ended = new AbortController();
    const signal = AbortSignal.any([this.#options.signal, ended.signal]);
    try {
      await Promise.race([...underWay, idle({ ...this.#options, signal })]);
    } finally {
      ended.abort();
    }
  }

  [Symbol.dispose](): void {
    for (const job of this.#stop.jobs) job[Symbol.dispose]();
    this.#stop[Symbol.dispose]();
    this.#alive[Symbol.dispose]();
    this.#watched[Symbol.dispose]();
  }

  /** Those of them that this worker generates stop at once: the renewal says that they are no longer its own. */
  #renewThese(ids: ReadonlySet<string>): void {
    for (const job of this.#stop.jobs) if (ids.has(job.id)) void job.lease.renew();
  }

  #record(): WorkerRecord {
    const progress = this.#generating.size > 0 ? this.#progress : undefined;
    return workerRecord(this.#options, { work: this.#work, progress });
  }

  #tell(event: WorkerEvent): void {
    if (event.type === 'progress') this.#progress = { step: event.step, steps: event.steps };
    if (event.type !== 'claimed' && event.type !== 'progress') this.#summary[event.type]++;
    if (event.type === 'completed') this.#trouble.jobFinished();
    this.#options.onEvent?.(event);
  }
}
