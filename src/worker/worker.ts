/** The worker: claims, draws, publishes, until the queue is drained or it is told to stop. */
import { ClaimedJob } from './claimed-job.ts';
import { runBatch } from './run-batch.ts';
import { stopWithinGrace } from './shutdown.ts';
import type { WorkerEvent, WorkerOptions, WorkerSummary } from './worker-options.ts';

const DEFAULT_POLL_MS = 500;

/**
 * Runs until the end of the drain, or until the signal. The engine is warm and the store checked before this is called.
 * @throws `queue_failed`, `disk_full` when the queue cannot be read any more; `engine_unavailable` when no engine can be had
 */
export async function runWorker(options: WorkerOptions): Promise<WorkerSummary> {
  const summary = { completed: 0, failed: 0, retried: 0, released: 0, lost: 0 };
  const tell = (event: WorkerEvent): void => {
    if (event.type !== 'claimed' && event.type !== 'progress') summary[event.type]++;
    options.onEvent?.(event);
  };
  /** Of the batch before, while the present one is drawn: one at most, so that finished pictures never pile up. */
  let publishing: Promise<void> = Promise.resolve();
  try {
    while (!options.signal.aborted) {
      const jobs = await claimJobs(options, tell);
      if (jobs.length === 0) {
        await publishing;
        if (options.mode === 'drain' && (await options.queue.isDrained())) break;
        await idle(options);
        continue;
      }
      using _ = stopWithinGrace(jobs, options);
      const { published } = await runBatch(jobs, options);
      await publishing;
      publishing = published;
    }
  } finally {
    await publishing;
  }
  return summary;
}

/** As many as the engine can draw together, so that none waits in a claim. */
async function claimJobs(options: WorkerOptions, tell: (event: WorkerEvent) => void): Promise<ClaimedJob[]> {
  const { queue, engine, batchSize } = options;
  const reaped = await queue.reap();
  if (reaped > 0) options.logger.warning('prompts ended because all their attempts died', { count: reaped });
  const claimedAtMs = performance.now();
  const claims = await queue.claim({ limit: Math.max(1, Math.min(batchSize, engine.model.maxBatchImages)) });
  return claims.map((claim) => new ClaimedJob(claim, options, { claimedAtMs, tell }));
}

/** Until there may be something to do: the next lease or backoff to end, or the next look. */
async function idle({ queue, signal, pollMs = DEFAULT_POLL_MS }: WorkerOptions): Promise<void> {
  const dueMs = (await queue.msUntilNextDue()) ?? pollMs;
  const timeoutMs = Math.min(dueMs + 1, pollMs) * (0.75 + Math.random() / 2);
  await queue.untilChanged({ timeoutMs, signal });
}
