/** A graceful stop: what the engine can finish within the grace period is finished, the rest is given back at the next step. */
import type { ClaimedJob } from './claimed-job.ts';
import type { WorkerOptions } from './worker-options.ts';

/** How often the estimate is looked at again. */
const LOOK_MS = 50;

/** Watches the signal while `jobs` are drawn; disposed when they are. */
export function stopWithinGrace(jobs: readonly ClaimedJob[], { engine, signal, graceMs }: WorkerOptions): Disposable {
  let timer: NodeJS.Timeout | undefined;
  const start = (): void => {
    const deadlineMs = performance.now() + graceMs;
    const look = (): void => {
      const leftMs = deadlineMs - performance.now();
      for (const job of jobs) {
        const neededMs = engine.estimateRemainingMs(job.jobId);
        // Without an estimate the first steps decide.
        if (leftMs <= 0 || (neededMs !== undefined && neededMs > leftMs)) giveBack(job);
      }
    };
    const giveBack = (job: ClaimedJob): void => {
      job.givesBack = true;
      engine.cancel(job.jobId);
    };
    look();
    timer = setInterval(look, LOOK_MS);
  };
  if (signal.aborted) start();
  else signal.addEventListener('abort', start, { once: true });
  return {
    [Symbol.dispose]: () => {
      signal.removeEventListener('abort', start);
      clearInterval(timer);
    },
  };
}
