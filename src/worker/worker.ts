/**
 * The worker: claims, draws, publishes, until the queue is drained or it is told to stop. The stages overlap, so that the model never waits
 * for the network: towards the end of a batch the next one is claimed, and pictures are encoded, uploaded and completed while the next ones are
 * drawn. Everything is bounded: one batch ahead, `MAX_PUBLISHING` documents behind. In trouble of the environment nothing is claimed.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { BatchBudget } from '../engine/batch-budget.ts';
import { probeEngine } from '../engine/probe-engine.ts';
import { Text2ImgError } from '../errors/text2img-error.ts';
import { pause } from '../lib/pause.ts';
import { untilAborted } from '../lib/until-aborted.ts';
import { ClaimedJob } from './claimed-job.ts';
import { endingsOf } from './endings.ts';
import { Failures } from './failures.ts';
import { jobsLeft } from './jobs-left.ts';
import { type BatchContext, drawJobs, giveBack, type PreparedJob, prepareJobs } from './run-batch.ts';
import { GracefulStop } from './shutdown.ts';
import { Trouble } from './trouble.ts';
import type { TroublePatience, WorkerEvent, WorkerOptions, WorkerSummary } from './worker-contract.ts';

const DEFAULT_POLL_MS = 500;
/** Finished pictures that wait for the network; above it the model waits too, instead of the memory filling up. */
const MAX_PUBLISHING = 32;
/** The next batch is claimed when the present one needs this much longer, or twice what the last claim took. */
const MIN_LEAD_MS = 200;
const LOOK_MS = 20;
/** While the end is far. */
const MAX_LOOK_MS = 1000;
const DEFAULT_PATIENCE: TroublePatience = { firstPauseMs: 1000, maxPauseMs: 60_000, drainMs: 5 * 60_000 };

/**
 * Runs until the end of the drain, or until the signal. The engine is warm and the store checked before this is called.
 * @throws `jobs_left` when a queue that is drained still holds what nobody may claim; the reason, when trouble lasts longer than a drain waits;
 *   what the queue throws with consequence `fail`
 */
export async function runWorker(options: WorkerOptions): Promise<WorkerSummary> {
  using worker = new Worker(options);
  return await worker.run();
}

class Worker implements Disposable {
  readonly #options: WorkerOptions;
  readonly #patience: TroublePatience;
  readonly #stop: GracefulStop;
  readonly #trouble: Trouble;
  readonly #failures: Failures;
  readonly #context: BatchContext;
  readonly #publishing = new Set<Promise<void>>();
  readonly #summary = { completed: 0, failed: 0, retried: 0, released: 0, lost: 0 };
  #claimMs = 0;
  /** Waits under way that say of themselves that they end. */
  #waits = 0;
  readonly #aliveTimer: NodeJS.Timeout;

  constructor(options: WorkerOptions) {
    this.#options = options;
    this.#patience = options.troublePatience ?? DEFAULT_PATIENCE;
    const { logger } = options;
    const pauses = { firstMs: this.#patience.firstPauseMs, maxMs: this.#patience.maxPauseMs };
    this.#aliveTimer = setInterval(() => this.#waits > 0 && this.#alive(), MAX_LOOK_MS);
    this.#stop = new GracefulStop(options);
    this.#trouble = new Trouble({ logger, pauses });
    this.#failures = new Failures({ options, trouble: this.#trouble, stop: this.#stop });
    this.#context = {
      options,
      budget: new BatchBudget({ maxImages: options.engine.model.maxBatchImages, logger }),
      failures: this.#failures,
      trouble: this.#trouble,
      publishingSignal: this.#stop.publishingSignal,
    };
  }

  /** @returns when all is done, or when a stop waits no longer for what does not answer */
  async run(): Promise<WorkerSummary> {
    const { logger } = this.#options;
    const summary = await untilAborted(this.#work(), this.#stop.lastSignal);
    if (summary === undefined) {
      const jobs = Array.from(this.#stop.jobs, ({ id }) => id);
      logger.warning('something did not answer until the end of the stop; claims that are left end with their leases', {
        jobs,
      });
    }
    return this.#summary;
  }

  async #work(): Promise<WorkerSummary> {
    const { signal } = this.#options;
    let next: readonly PreparedJob[] = [];
    try {
      while (!signal.aborted) {
        this.#alive();
        const jobs = next.length > 0 ? next : await this.#whileAlive(this.#claim());
        next = [];
        if (jobs.length > 0) next = await this.#draw(jobs);
        else if (await this.#rest()) break;
      }
    } finally {
      // Claimed ahead, and nobody will draw it now.
      await Promise.all(giveBack(next, this.#context));
      await Promise.all(this.#publishing);
    }
    return this.#summary;
  }

  /** @returns the next batch, as far as it was claimed meanwhile */
  async #draw(jobs: readonly PreparedJob[]): Promise<readonly PreparedJob[]> {
    const drawing = drawJobs(jobs, this.#context);
    const claiming = this.#claimTowardsTheEndOf(jobs, drawing);
    const [drawn, claimed] = await Promise.allSettled([drawing, claiming]);
    const next = claimed.status === 'fulfilled' ? claimed.value : [];
    if (drawn.status === 'fulfilled') for (const published of drawn.value) this.#publish(published);
    const failed = [drawn, claimed].find(({ status }) => status === 'rejected') as PromiseRejectedResult | undefined;
    // What is held is given back.
    if (failed !== undefined || this.#trouble.isRefused)
      for (const published of giveBack(next, this.#context)) this.#publish(published);
    if (failed !== undefined) throw failed.reason;
    while (this.#publishing.size >= MAX_PUBLISHING) await this.#whileAlive(Promise.race(this.#publishing));
    return this.#trouble.isRefused ? [] : next;
  }

  /** Nothing was claimed. @returns whether the drain is done */
  async #rest(): Promise<boolean> {
    const { mode } = this.#options;
    if (mode === 'drain' && this.#publishing.size > 0) {
      await this.#whileAlive(Promise.race(this.#publishing));
      return false;
    }
    if (mode === 'drain' && (await this.#isDrained())) return true;
    await (this.#trouble.isRefused ? this.#sitOut() : this.#idle());
    return false;
  }

  /** @throws `jobs_left` */
  async #isDrained(): Promise<boolean> {
    const { queue, signal } = this.#options;
    try {
      const state = await this.#whileAlive(queue.drainState({ signal }));
      if (!state.isDrained) return false;
      const { refused, stuck } = state;
      if (refused + stuck === 0) return true;
      throw jobsLeft({ refused, stuck, reason: this.#trouble.error });
    } catch (error) {
      this.#queueRefuses(error);
      return false;
    }
  }

  [Symbol.dispose](): void {
    clearInterval(this.#aliveTimer);
    for (const job of this.#stop.jobs) job[Symbol.dispose]();
    this.#stop[Symbol.dispose]();
  }

  #alive(): void {
    this.#options.onAlive?.(this.#trouble.report);
  }

  /** However long something takes, this worker is alive: everything that it waits for so has an end of its own. */
  async #whileAlive<T>(promise: Promise<T>): Promise<T> {
    this.#waits++;
    try {
      return await promise;
    } finally {
      this.#waits--;
    }
  }

  #tell(event: WorkerEvent): void {
    if (event.type !== 'claimed' && event.type !== 'progress') this.#summary[event.type]++;
    if (event.type === 'completed') this.#trouble.jobFinished();
    this.#options.onEvent?.(event);
  }

  #publish(published: Promise<void>): void {
    this.#publishing.add(published);
    void published.finally(() => this.#publishing.delete(published));
  }

  /** As many as the engine can draw together, so that none waits in a claim; those that need no drawing are ended. */
  async #claim(): Promise<PreparedJob[]> {
    const { signal } = this.#options;
    if (this.#trouble.isRefused || !(await this.#hasEngine())) return [];
    const startedMs = performance.now();
    try {
      for (;;) {
        if (!this.#failures.hasDrawn && !(await this.#mayTakeOver())) return [];
        const jobs = await this.#claimJobs();
        this.#trouble.queueAnswered();
        const prepared = await prepareJobs(jobs, this.#context);
        this.#claimMs = performance.now() - startedMs;
        // Where all of them ended before they were drawn, there may be more behind them.
        if (prepared.length > 0 || jobs.length === 0 || signal.aborted || this.#trouble.isRefused) return prepared;
        this.#alive();
      }
    } catch (error) {
      this.#queueRefuses(error);
      return [];
    }
  }

  /** @throws what waiting cannot mend */
  #queueRefuses(raw: unknown): void {
    const error = Text2ImgError.from(raw);
    if (this.#options.signal.aborted) return;
    if (error.consequence === 'fail') throw error;
    this.#trouble.refused('queue', error);
  }

  /** Without an engine nothing is claimed. */
  async #hasEngine(): Promise<boolean> {
    const { engine, signal } = this.#options;
    try {
      return (await untilAborted(engine.start(), signal)) !== undefined;
    } catch (error) {
      await this.#failures.engineRefuses(Text2ImgError.from(error));
      return false;
    }
  }

  /**
   * Where a lease has ended, a worker died, and perhaps its whole machine with it. Before this one takes over it finds out whether the machine
   * can draw at all: a container that is ended as a whole then uses up no prompt.
   */
  async #mayTakeOver(): Promise<boolean> {
    const { engine, queue, signal } = this.#options;
    if ((await untilAborted(queue.msUntilNextDue(), signal)) !== 0) return !signal.aborted;
    const probing = probeEngine(engine).then((refusal) => ({ refusal }));
    const probed = await untilAborted(probing, signal);
    if (probed === undefined) return false;
    if (probed.refusal !== undefined) {
      await this.#failures.engineRefuses(probed.refusal);
      return false;
    }
    this.#failures.jobDrawn();
    return true;
  }

  async #claimJobs(): Promise<ClaimedJob[]> {
    const { queue, engine, batchSize, logger, signal } = this.#options;
    const endings = endingsOf(this.#options, (event) => this.#tell(event));
    const reaped = await queue.reap({ signal, endings });
    if (reaped > 0) logger.warning('prompts ended because all their attempts died', { count: reaped });
    const claimedAtMs = performance.now();
    const atOnce = this.#trouble.isCautious ? 1 : Math.min(batchSize, engine.model.maxBatchImages);
    const claims = await queue.claim({ limit: Math.max(1, atOnce), signal, endings });
    return claims.map((claim) => {
      const job = new ClaimedJob(claim, this.#options, {
        claimedAtMs,
        tell: (event) => this.#tell(event),
        onEnd: () => this.#stop.delete(job),
        lastSignal: this.#stop.lastSignal,
      });
      this.#stop.add(job);
      return job;
    });
  }

  async #claimTowardsTheEndOf(jobs: readonly PreparedJob[], drawing: Promise<unknown>): Promise<PreparedJob[]> {
    const { engine, signal } = this.#options;
    const drawn = drawing.then(
      () => true,
      () => true,
    );
    for (;;) {
      const leadMs = Math.max(MIN_LEAD_MS, 2 * this.#claimMs);
      // Undefined: not begun yet.
      const remainingMs = jobs.map(({ job }) => (job.isDrawn ? 0 : engine.remainingMs(job.jobId)));
      this.#alive();
      // The last to be done decides.
      const longestMs = remainingMs.includes(undefined) ? undefined : Math.max(...(remainingMs as number[]));
      if (longestMs !== undefined && longestMs <= leadMs) break;
      const lookMs = Math.min(MAX_LOOK_MS, Math.max(LOOK_MS, (longestMs ?? 0) - leadMs));
      if (await Promise.race([drawn, sleep(lookMs, false)])) break;
    }
    // In or after trouble each job waits until the one before it has shown how things are.
    if (this.#trouble.isCautious || signal.aborted) return [];
    return this.#claim();
  }

  /** Until the next probe, and that. @throws the reason, when a drain has waited long enough */
  async #sitOut(): Promise<void> {
    const { signal, mode } = this.#options;
    const { error: reason, lastsMs } = this.#trouble;
    this.#alive();
    if (mode === 'drain' && reason !== undefined && lastsMs > this.#patience.drainMs) throw reason;
    await this.#whileAlive(pause(this.#trouble.pauseMs, signal));
    if (signal.aborted) return;
    try {
      await this.#whileAlive(untilAborted(this.#failures.probe(), signal));
      this.#trouble.allow();
    } catch (raw) {
      const error = Text2ImgError.from(raw);
      if (this.#trouble.source === 'queue' && error.consequence === 'fail') throw error;
      this.#trouble.goesOn(error);
    }
  }

  /** Until there may be something to do: a document becomes pending, a lease or a backoff ends, or the next look. */
  async #idle(): Promise<void> {
    const { queue, signal, pollMs = DEFAULT_POLL_MS } = this.#options;
    if (signal.aborted) return;
    const dueMs = await untilAborted(queue.msUntilNextDue(), signal).catch(() => undefined);
    const timeoutMs = Math.min((dueMs ?? pollMs) + 1, pollMs) * (0.75 + Math.random() / 2);
    await queue.untilChanged({ timeoutMs, signal });
  }
}
