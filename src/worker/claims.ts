/** Claims for a slot of the engine pool. Jobs that were claimed together and must not be generated together wait here for the next slots. */
import type { EngineSlot, PoolModel } from '../engine/pool.ts';
import { untilAborted } from '../lib/until-aborted.ts';
import { ClaimedJob } from './claimed-job.ts';
import { endingsOf } from './endings.ts';
import { selectionOf } from './model-selection.ts';
import { ModelTurns } from './model-turns.ts';
import { prepareJobs, releaseBatch } from './prepare-jobs.ts';
import type { Batch, PreparedJob, WorkerContext } from './worker-context.ts';

export class Claims {
  readonly #context: WorkerContext;
  readonly #turns = new ModelTurns();
  /** Batches that are claimed and have no slot yet. */
  #waiting: readonly Batch[] = [];
  #claimMs = 0;

  constructor(context: WorkerContext) {
    this.#context = context;
  }

  /** How long the last claim took, with the look at the store. */
  get claimMs(): number {
    return this.#claimMs;
  }

  /** The next batch for this slot; undefined: there is nothing to claim, or nothing may be claimed now. @throws what waiting cannot mend */
  async next(slot: EngineSlot): Promise<Batch | undefined> {
    if (this.#waiting.length === 0) this.#waiting = await this.#claim(slot);
    const [next, ...later] = this.#waiting;
    this.#waiting = later;
    return next;
  }

  /** Those that wait get no slot now. */
  release(): void {
    for (const batch of this.#waiting) releaseBatch(batch, this.#context);
    this.#waiting = [];
  }

  /** As many as the engine can generate together, so that none waits in a claim. Documents that need no engine end here. */
  async #claim(slot: EngineSlot): Promise<readonly Batch[]> {
    const { options, trouble, failures, alive } = this.#context;
    const { signal } = options;
    const startedMs = performance.now();
    try {
      for (;;) {
        if (!failures.hasGenerated && !(await this.#mayTakeOver(slot))) return [];
        await this.#reap();
        const turn = await this.#turns.claim(slot, (models, limit) => this.#claimJobs(models, limit));
        trouble.queueAnswered();
        const { jobs = [], model } = turn ?? {};
        if (model === undefined) return [];
        if (jobs.length > 0 && model.facts === undefined) return [{ modelId: model.id, jobs: { claimed: jobs } }];
        const prepared = model.facts === undefined ? [] : await prepareJobs(jobs, model.facts, this.#context);
        this.#claimMs = performance.now() - startedMs;
        // Where all of them have ended already, there may be more behind them.
        if (prepared.length > 0 || jobs.length === 0 || signal.aborted || trouble.isRefused)
          return batchesOf(model, prepared);
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
    if ((await untilAborted(queue.msUntilNextDue({ models: selectionOf(slot.models) }), signal)) !== 0)
      return !signal.aborted;
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

  async #reap(): Promise<void> {
    const { options, tell, deadlines } = this.#context;
    const { queue, logger, signal } = options;
    await untilAborted(deadlines.look(), signal);
    const reaped = await queue.reap({ signal, endings: endingsOf(options, tell) });
    if (reaped > 0) logger.warning('jobs failed: every attempt crashed', { count: reaped });
  }

  async #claimJobs(models: readonly PoolModel[], most: number): Promise<readonly ClaimedJob[]> {
    const { options, trouble, stop, tell, watched, publish } = this.#context;
    const { queue, batchSize, signal } = options;
    const claimedAtMs = performance.now();
    const limit = trouble.isCautious ? 1 : Math.max(1, Math.min(batchSize, most));
    const endings = endingsOf(options, tell);
    const claims = await queue.claim({ limit, signal, endings, models: selectionOf(models), fair: options.isFair });
    const jobs = claims.map((claim) => {
      const { lastSignal } = stop;
      const onEnd = (leaving?: Promise<void>): void => {
        stop.delete(job);
        if (leaving !== undefined) publish(leaving);
      };
      const job = new ClaimedJob(claim, options, { claimedAtMs, tell, onEnd, lastSignal });
      stop.add(job);
      return job;
    });
    if (jobs.length > 0) watched.claimed();
    return jobs;
  }
}

/** A document whose last attempt crashed is generated alone: it may be what killed the engine. */
function batchesOf({ id: modelId }: PoolModel, jobs: readonly PreparedJob[]): readonly Batch[] {
  const alone = jobs.filter(({ job }) => job.claim.previousAttemptDied).map((prepared) => [prepared]);
  const together = jobs.filter(({ job }) => !job.claim.previousAttemptDied);
  const all = together.length === 0 ? alone : [together, ...alone];
  return all.map((prepared) => ({ modelId, jobs: { prepared } }));
}
