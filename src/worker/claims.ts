/** Claims for a slot of the engine pool. Jobs that were claimed together and must not be generated together wait here for the next slots. */
import type { EngineSlot } from '../engine/pool.ts';
import { untilAborted } from '../lib/until-aborted.ts';
import { ClaimedJob } from './claimed-job.ts';
import { endingsOf } from './endings.ts';
import { prepareJobs, releaseJobs } from './prepare-jobs.ts';
import type { PreparedJob, WorkerContext } from './worker-context.ts';

export class Claims {
  readonly #context: WorkerContext;
  /** Batches that are claimed and have no slot yet. */
  #waiting: (readonly PreparedJob[])[] = [];
  #claimMs = 0;

  constructor(context: WorkerContext) {
    this.#context = context;
  }

  /** How long the last claim took, with the look at the store. */
  get claimMs(): number {
    return this.#claimMs;
  }

  /** The next batch for this slot; empty: there is nothing to claim, or nothing may be claimed now. @throws what waiting cannot mend */
  async next(slot: EngineSlot): Promise<readonly PreparedJob[]> {
    if (this.#waiting.length === 0) this.#waiting = batchesOf(await this.#claim(slot));
    return this.#waiting.shift() ?? [];
  }

  /** Those that wait get no slot now. */
  release(): void {
    releaseJobs(this.#waiting.flat(), this.#context);
    this.#waiting = [];
  }

  /** As many as the engine can generate together, so that none waits in a claim. Documents that need no engine end here. */
  async #claim(slot: EngineSlot): Promise<PreparedJob[]> {
    const { options, trouble, failures, alive } = this.#context;
    const { signal } = options;
    const startedMs = performance.now();
    try {
      for (;;) {
        if (!failures.hasGenerated && !(await this.#mayTakeOver(slot))) return [];
        const jobs = await this.#claimJobs(slot.maxImages);
        trouble.queueAnswered();
        const prepared = await prepareJobs(jobs, slot.models[0], this.#context);
        this.#claimMs = performance.now() - startedMs;
        // Where all of them have ended already, there may be more behind them.
        if (prepared.length > 0 || jobs.length === 0 || signal.aborted || trouble.isRefused) return prepared;
        alive.now();
      }
    } catch (error) {
      failures.queueRefuses(error);
      return [];
    }
  }

  /**
   * If a lease has ended, a worker crashed, and perhaps its whole machine. Before this worker takes over the job, it probes whether the machine can
   * generate at all. So a container that is ended as a whole uses up no attempt.
   */
  async #mayTakeOver(slot: EngineSlot): Promise<boolean> {
    const { options, failures } = this.#context;
    const { queue, signal } = options;
    if ((await untilAborted(queue.msUntilNextDue(), signal)) !== 0) return !signal.aborted;
    const probed = await untilAborted(
      slot.probe().then((refusal) => ({ refusal })),
      signal,
    );
    if (probed === undefined) return false;
    if (probed.refusal !== undefined) {
      await failures.engineRefuses(slot.engine, probed.refusal);
      return false;
    }
    failures.jobGenerated(slot.engine);
    return true;
  }

  async #claimJobs(maxImages: number): Promise<ClaimedJob[]> {
    const { options, trouble, stop, tell } = this.#context;
    const { queue, batchSize, logger, signal } = options;
    const endings = endingsOf(options, tell);
    const reaped = await queue.reap({ signal, endings });
    if (reaped > 0) logger.warning('jobs failed: every attempt crashed', { count: reaped });
    const claimedAtMs = performance.now();
    const limit = trouble.isCautious ? 1 : Math.max(1, Math.min(batchSize, maxImages));
    const claims = await queue.claim({ limit, signal, endings });
    return claims.map((claim) => {
      const { lastSignal } = stop;
      const job = new ClaimedJob(claim, options, { claimedAtMs, tell, onEnd: () => stop.delete(job), lastSignal });
      stop.add(job);
      return job;
    });
  }
}

/** A document whose last attempt crashed is generated alone: it may be what killed the engine. */
function batchesOf(jobs: readonly PreparedJob[]): (readonly PreparedJob[])[] {
  const alone = jobs.filter(({ job }) => job.claim.previousAttemptDied).map((prepared) => [prepared]);
  const together = jobs.filter(({ job }) => !job.claim.previousAttemptDied);
  return together.length === 0 ? alone : [together, ...alone];
}
