/**
 * What follows where something failed: the document's own fault, or trouble of the environment, which is never a document's. Nothing is given back
 * without an attempt unless a probe failed after the failure.
 */
import { Text2ImgError } from '../errors/text2img-error.ts';
import type { ResolvedGenerationRequest } from '../job/generation-request.ts';
import type { WaitingPrompt } from '../queue/prompt-queue.ts';
import type { ClaimedJob } from './claimed-job.ts';
import { EngineDeaths } from './engine-deaths.ts';
import { type DrawnImages, KeptImages } from './kept-images.ts';
import { probeEngine } from '../engine/probe-engine.ts';
import { isLastAttempt } from './retry-policy.ts';
import type { GracefulStop } from './shutdown.ts';
import { StoreProbes } from './store-probes.ts';
import type { Trouble } from './trouble.ts';
import type { WorkerOptions } from './worker-contract.ts';

export interface FailuresOptions {
  readonly options: WorkerOptions;
  readonly trouble: Trouble;
  readonly stop: GracefulStop;
}

/** The engine could not draw it, but it, or another one, might. */
export interface FailedDrawing {
  readonly job: ClaimedJob;
  readonly error: Text2ImgError;
}

/** Drawn, and not stored. */
export interface DrawnJob {
  readonly request: ResolvedGenerationRequest;
  readonly images: DrawnImages;
}

export class Failures {
  readonly #options: WorkerOptions;
  readonly #trouble: Trouble;
  readonly #stop: GracefulStop;
  readonly #deaths = new EngineDeaths();
  readonly #storeProbes: StoreProbes;
  readonly kept = new KeptImages();
  #hasDrawn = false;
  /** Those that the queue would not take back. */
  readonly #unreleased = new Map<string, ClaimedJob>();

  constructor({ options, trouble, stop }: FailuresOptions) {
    this.#options = options;
    this.#trouble = trouble;
    this.#stop = stop;
    this.#storeProbes = new StoreProbes(options.store, stop.publishingSignal);
  }

  /** This worker's engine has drawn something: what ended another worker does not end this one at once. */
  get hasDrawn(): boolean {
    return this.#hasDrawn;
  }

  /** The engine is well, and the deaths before were the jobs' own. */
  jobDrawn(): void {
    this.#hasDrawn = true;
    this.#deaths.clear();
  }

  /** One failure of the engine, with all the jobs that it hit at once; each is ended here. */
  async ofEngine(failed: readonly FailedDrawing[]): Promise<void> {
    const hit = failed.filter(({ job }) => !job.givesBack && !job.lease.isLost);
    const unavailable = hit.find(({ error }) => error.consequence === 'give-back');
    const isStopping = this.#stop.publishingSignal.aborted;
    if (hit.length === 0 || isStopping) return this.#endAll(failed);
    if (unavailable !== undefined) return this.#engineIsGone(failed, unavailable.error);
    this.#deaths.add(hit.map(({ job }) => job.claim));
    const { maxAttempts } = this.#options;
    const isLast = hit.some(({ job }) => isLastAttempt({ attempt: job.claim.attempt, maxAttempts }));
    if (!isLast && !this.#deaths.areSuspicious) return this.#endAll(failed);
    this.#trouble.beCautious();
    const refusal = await probeEngine(this.#options.engine);
    if (this.#stop.publishingSignal.aborted) {
      for (const { job } of hit) job.givesBack = true;
      return this.#endAll(failed);
    }
    if (refusal !== undefined) return this.#engineIsGone(failed, refusal);
    await this.#endAll(failed);
    this.#deaths.clear();
  }

  /** No engine is to be had: nothing that died here since the last drawn job was its own fault. */
  async engineRefuses(error: Text2ImgError): Promise<void> {
    this.#trouble.refused('engine', error);
    const held = new Map(Array.from(this.#stop.jobs, (job) => [job.claim.runId, job]));
    for (const waiting of this.#deaths.take()) {
      const job = held.get(waiting.runId);
      if (job === undefined) await this.#returnAttempts(waiting);
      // Claimed again meanwhile: they go back with it.
      else job.innocentAttempts += waiting.attempts;
    }
  }

  /**
   * Looking for, storing or publishing the images failed; the job is ended here.
   * @param drawn kept for its next attempt, where the store is at fault
   */
  async ofStore(job: ClaimedJob, raw: unknown, drawn?: DrawnJob): Promise<void> {
    const { publishingSignal } = this.#stop;
    // What the end of the grace period interrupts is no fault of the document, whenever it was claimed.
    if (publishingSignal.aborted) job.givesBack = true;
    const error = Text2ImgError.from(raw);
    // A name is recorded in the queue on the way.
    if (error.code.startsWith('queue_') && !job.givesBack) return this.ofEnding(job, error);
    if (job.givesBack || error.consequence !== 'give-back') return void (await job.end(error));
    const sizes = drawn?.images.images.map(({ png }) => png.byteLength) ?? [];
    const refusal = await this.#storeProbes.ask(Math.max(1, ...sizes)).catch(() => error);
    if (publishingSignal.aborted) job.givesBack = true;
    if (job.givesBack || refusal === undefined) return void (await job.end(error));
    this.#trouble.refused('store', refusal);
    await this.keepAndRelease(job, drawn);
  }

  /** What was drawn is kept for its next attempt; the claim goes back like every other. */
  async keepAndRelease(job: ClaimedJob, drawn: DrawnJob | undefined): Promise<void> {
    if (drawn !== undefined) this.kept.keep(job.claim.runId, drawn.request, drawn.images);
    await job.release();
  }

  /** An ending could not be written, or something threw that must not. */
  async ofEnding(job: ClaimedJob, raw: unknown): Promise<void> {
    const error = Text2ImgError.from(raw);
    if (error.consequence === 'fail') {
      await job.end(error).catch(() => job.lose());
      return;
    }
    if (!this.#stop.lastSignal.aborted) {
      this.#trouble.refused('queue', error);
      this.#unreleased.set(job.claim.runId, job);
    }
    job.lose();
  }

  /** Whether the trouble is still there: resolves where it is over. @throws what refuses, `Text2ImgError` */
  async probe(): Promise<void> {
    const { engine, queue } = this.#options;
    switch (this.#trouble.source) {
      case 'engine': {
        const refusal = await probeEngine(engine);
        if (refusal !== undefined) throw refusal;
        return;
      }
      case 'store': {
        const refusal = await this.#storeProbes.ask(this.#largestRefused());
        if (refusal !== undefined) throw refusal;
        return;
      }
      case 'queue':
        // The next claim is the probe of the rest.
        for (const [runId, job] of this.#unreleased) {
          await queue.release(job.claim, { attempts: 1 + job.innocentAttempts });
          this.#unreleased.delete(runId);
        }
        return;
      case undefined:
    }
  }

  #largestRefused(): number {
    return Math.max(1, this.kept.largestBytes);
  }

  async #endAll(failed: readonly FailedDrawing[]): Promise<void> {
    await Promise.all(
      failed.map(({ job, error }) =>
        this.#finish(job, async () => {
          const waitToken = await job.end(error);
          if (waitToken !== undefined) this.#deaths.putOff(job.claim, waitToken);
        }),
      ),
    );
  }

  async #engineIsGone(failed: readonly FailedDrawing[], error: Text2ImgError): Promise<void> {
    await this.engineRefuses(error);
    await Promise.all(failed.map(({ job }) => this.#finish(job, () => job.release())));
  }

  async #finish(job: ClaimedJob, act: () => Promise<unknown>): Promise<void> {
    using _ = job;
    job.isDrawn = true;
    try {
      await act();
    } catch (error) {
      await this.ofEnding(job, error);
    }
  }

  async #returnAttempts(waiting: WaitingPrompt): Promise<void> {
    const { queue, logger } = this.#options;
    try {
      await queue.returnAttempts(waiting);
    } catch (error) {
      logger.warning('attempts that were no fault of a prompt could not be returned', {
        run_id: waiting.runId,
        attempts: waiting.attempts,
        error,
      });
    }
  }
}
