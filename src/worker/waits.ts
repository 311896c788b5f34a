/** The worker's waits when it has claimed nothing: for jobs, for the end of trouble with its environment, or for the end of the drain. */
import type { ModelOutage } from '../engine/pool.ts';
import { Text2ImgError } from '../errors/text2img-error.ts';
import { pause } from '../lib/pause.ts';
import { untilAborted } from '../lib/until-aborted.ts';
import { jobsLeft } from './jobs-left.ts';
import { selectionOf } from './model-selection.ts';
import type { TroublePatience } from './worker-contract.ts';
import type { WorkerContext } from './worker-context.ts';

const DEFAULT_POLL_MS = 500;
export const DEFAULT_PATIENCE: TroublePatience = { firstPauseMs: 1000, maxPauseMs: 60_000, drainMs: 5 * 60_000 };

/**
 * Nobody has anything left to do for the models of this worker.
 * @throws `jobs_left`; what waiting cannot mend; why a model cannot be loaded, when a drain has waited long enough for it
 */
export async function isDrained({ options, alive, trouble, failures }: WorkerContext): Promise<boolean> {
  const { queue, pool, signal, logger } = options;
  try {
    const state = await alive.during(queue.drainState({ signal, models: selectionOf(pool.models) }));
    if (!state.isDrained || !(await alive.during(areDrained(pool.modelsOut, options)))) return false;
    const { refused, stuck, others = 0 } = state;
    if (others > 0) logger.warning('jobs for other models are left in the queue', { jobs: others });
    if (refused + stuck === 0) return true;
    throw jobsLeft({ refused, stuck, reason: trouble.error });
  } catch (error) {
    failures.queueRefuses(error);
    return false;
  }
}

/** Models that cannot be loaded may be well again. @throws the reason of one whose jobs have waited for so long as a drain waits */
async function areDrained(
  models: readonly ModelOutage[],
  { queue, signal, troublePatience = DEFAULT_PATIENCE }: WorkerContext['options'],
): Promise<boolean> {
  for (const model of models) {
    const { isDrained: hasNone } = await queue.drainState({ signal, models: selectionOf([model]) });
    if (hasNone) continue;
    if (performance.now() - model.sinceMs > troublePatience.drainMs) throw model.error;
    return false;
  }
  return true;
}

/** Until there may be something to do: a document becomes pending, a lease or a backoff ends, or the next look. */
export async function idle({ queue, pool, signal, pollMs = DEFAULT_POLL_MS }: WorkerContext['options']): Promise<void> {
  if (signal.aborted) return;
  const models = selectionOf(pool.models);
  const dueMs = await untilAborted(queue.msUntilNextDue({ models }), signal).catch(() => undefined);
  const timeoutMs = Math.min((dueMs ?? pollMs) + 1, pollMs) * (0.75 + Math.random() / 2);
  await queue.untilChanged({ timeoutMs, signal });
}

/** Until the next probe, and that. @throws the reason, when a drain has waited long enough */
export async function sitOut({ options, trouble, failures, alive }: WorkerContext): Promise<void> {
  const { signal, until, troublePatience = DEFAULT_PATIENCE } = options;
  const { error: reason, lastsMs } = trouble;
  alive.now();
  if (until === 'drained' && reason !== undefined && lastsMs > troublePatience.drainMs) throw reason;
  await alive.during(pause(trouble.pauseMs, signal));
  if (signal.aborted) return;
  try {
    await alive.during(untilAborted(failures.probe(), signal));
    trouble.allow();
  } catch (raw) {
    const error = Text2ImgError.from(raw);
    if (trouble.source === 'queue' && error.consequence === 'fail') throw error;
    trouble.goesOn(error);
  }
}
