/**
 * The consequences of failures: the document's own fault, or trouble of the environment, which is never a document's. No attempt is
 * returned unless a probe failed after the failure.
 */
import type { EngineSlot } from '../engine/pool.ts';
import { Text2ImgError } from '../errors/text2img-error.ts';
import type { ResolvedGenerationRequest } from '../job/generation-request.ts';
import type { WaitingPrompt } from '../queue/prompt-queue.ts';
import type { ClaimedJob } from './claimed-job.ts';
import { EngineDeaths } from './engine-deaths.ts';
import { type GeneratedImages, KeptImages } from './kept-images.ts';
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

/** The engine could not generate it, but it, or another one, might. */
export interface FailedJob {
  readonly job: ClaimedJob;
  readonly error: Text2ImgError;
}

/** Generated, and not stored. */
export interface GeneratedJob {
  readonly request: ResolvedGenerationRequest;
  readonly images: GeneratedImages;
}

export class Failures {
  readonly #options: WorkerOptions;
  readonly #trouble: Trouble;
  readonly #stop: GracefulStop;
  /** By engine. */
  readonly #deaths = new Map<string, EngineDeaths>();
  readonly #storeProbes: StoreProbes;
  readonly kept = new KeptImages();
  #hasGenerated = false;
  /** Those that the queue would not take back. */
  readonly #unreleased = new Map<string, ClaimedJob>();

  constructor({ options, trouble, stop }: FailuresOptions) {
    this.#options = options;
    this.#trouble = trouble;
    this.#stop = stop;
    this.#storeProbes = new StoreProbes(options.store, stop.publishingSignal);
  }

  /** An engine of this worker has generated something: what ended another worker does not end this one at once. */
  get hasGenerated(): boolean {
    return this.#hasGenerated;
  }

  /** The engine works, so the jobs caused its crashes before. */
  jobGenerated(engine: string): void {
    this.#hasGenerated = true;
    this.#deathsOf(engine).clear();
  }

  /** One failure of an engine, with all the jobs that it hit at once; each is ended here. The slot is held until that is decided. */
  async ofEngine(failed: readonly FailedJob[], slot: EngineSlot): Promise<void> {
    const deaths = this.#deathsOf(slot.engine);
    const hit = failed.filter(({ job }) => !job.mustRelease && !job.lease.isLost);
    const unavailable = hit.find(({ error }) => error.consequence === 'give-back');
    const isStopping = this.#stop.publishingSignal.aborted;
    if (hit.length === 0 || isStopping) return this.#endAll(failed, deaths);
    if (unavailable !== undefined) return this.#engineIsGone(failed, slot, unavailable.error);
    deaths.add(hit.map(({ job }) => job.claim));
    const { maxAttempts } = this.#options;
    const isLast = hit.some(({ job }) => isLastAttempt({ attempt: job.claim.attempt, maxAttempts }));
    if (!isLast && !deaths.areSuspicious) return this.#endAll(failed, deaths);
    this.#trouble.beCautious();
    const refusal = await slot.probe();
    if (this.#stop.publishingSignal.aborted) {
      for (const { job } of hit) job.mustRelease = true;
      return this.#endAll(failed, deaths);
    }
    if (refusal !== undefined) return this.#engineIsGone(failed, slot, refusal);
    await this.#endAll(failed, deaths);
    deaths.clear();
  }

  /** This engine cannot be used: jobs that crashed on it since the last job that it generated are not at fault. */
  async engineRefuses(engine: string, error: Text2ImgError): Promise<void> {
    // While others of the pool work, only this one is left out.
    if (this.#options.pool.refusal !== undefined) this.#trouble.refused('engine', error);
    const held = new Map(Array.from(this.#stop.jobs, (job) => [job.claim.runId, job]));
    for (const waiting of this.#deathsOf(engine).take()) {
      const job = held.get(waiting.runId);
      if (job === undefined) await this.#returnAttempts(waiting);
      // Claimed again meanwhile: they go back with it.
      else job.innocentAttempts += waiting.attempts;
    }
  }

  /** No engine can be used. */
  async noEngine(error: Text2ImgError): Promise<void> {
    this.#trouble.refused('engine', error);
    for (const engine of this.#deaths.keys()) await this.engineRefuses(engine, error);
  }

  /** @throws what waiting cannot mend */
  queueRefuses(raw: unknown): void {
    const error = Text2ImgError.from(raw);
    if (this.#options.signal.aborted) return;
    if (error.consequence === 'fail') throw error;
    this.#trouble.refused('queue', error);
  }

  /**
   * Looking for, storing or publishing the images failed; the job is ended here.
   * @param generated kept for its next attempt, where the store is at fault
   */
  async ofStore(job: ClaimedJob, raw: unknown, generated?: GeneratedJob): Promise<void> {
    const { publishingSignal } = this.#stop;
    // A job that the end of the grace period interrupts is not at fault, however late it was claimed.
    if (publishingSignal.aborted) job.mustRelease = true;
    const error = Text2ImgError.from(raw);
    // A name is recorded in the queue on the way.
    if (error.code.startsWith('queue_') && !job.mustRelease) return this.ofEnding(job, error);
    if (job.mustRelease || error.consequence !== 'give-back') return void (await job.end(error));
    const sizes = generated?.images.images.map(({ png }) => png.byteLength) ?? [];
    const refusal = await this.#storeProbes.ask(Math.max(1, ...sizes)).catch(() => error);
    if (publishingSignal.aborted) job.mustRelease = true;
    if (job.mustRelease || refusal === undefined) return void (await job.end(error));
    this.#trouble.refused('store', refusal);
    await this.keepAndRelease(job, generated);
  }

  /** Keeps the generated images for the job's next attempt, and releases the claim like every other. */
  async keepAndRelease(job: ClaimedJob, generated: GeneratedJob | undefined): Promise<void> {
    if (generated !== undefined) this.kept.keep(job.claim.runId, generated.request, generated.images);
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
    const { pool, queue } = this.#options;
    switch (this.#trouble.source) {
      case 'engine':
        return pool.probe();
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

  #deathsOf(engine: string): EngineDeaths {
    const deaths = this.#deaths.get(engine) ?? new EngineDeaths();
    this.#deaths.set(engine, deaths);
    return deaths;
  }

  async #endAll(failed: readonly FailedJob[], deaths: EngineDeaths): Promise<void> {
    await Promise.all(
      failed.map(({ job, error }) =>
        this.#finish(job, async () => {
          const waitToken = await job.end(error);
          if (waitToken !== undefined) deaths.putOff(job.claim, waitToken);
        }),
      ),
    );
  }

  async #engineIsGone(failed: readonly FailedJob[], slot: EngineSlot, error: Text2ImgError): Promise<void> {
    await this.engineRefuses(slot.engine, error);
    await Promise.all(failed.map(({ job }) => this.#finish(job, () => job.release())));
  }

  async #finish(job: ClaimedJob, act: () => Promise<unknown>): Promise<void> {
    using _ = job;
    job.isGenerated = true;
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
      logger.repeated('attempts that do not count could not be returned to their jobs', {
        run_id: waiting.runId,
        attempts: waiting.attempts,
        error,
      });
    }
  }
}
