/** The worker's waits when it has claimed nothing: for jobs, for the end of trouble with its environment, or for the end of the drain. */
import { Text2ImgError } from '../errors/text2img-error.ts';
import { pause } from '../lib/pause.ts';
import { untilAborted } from '../lib/until-aborted.ts';
import { jobsLeft } from './jobs-left.ts';
import type { TroublePatience } from './worker-contract.ts';
import type { WorkerContext } from './worker-context.ts';

const DEFAULT_POLL_MS = 500;
export const DEFAULT_PATIENCE: TroublePatience = { firstPauseMs: 1000, maxPauseMs: 60_000, drainMs: 5 * 60_000 };

/** Nobody has anything left to do. @throws `jobs_left`; what waiting cannot mend */
export async function isDrained({ options, alive, trouble, failures }: WorkerContext): Promise<boolean> {
  const { queue, signal } = options;
  try {
    const state = await alive.during(queue.drainState({ signal }));
    if (!state.isDrained) return false;
    const { refused, stuck } = state;
    if (refused + stuck === 0) return true;
    throw jobsLeft({ refused, stuck, reason: trouble.error });
  } catch (error) {
    failures.queueRefuses(error);
    return false;
  }
}

/** Until there may be something to do: a document becomes pending, a lease or a backoff ends, or the next look. */
export async function idle({ queue, signal, pollMs = DEFAULT_POLL_MS }: WorkerContext['options']): Promise<void> {
  if (signal.aborted) return;
  const dueMs = await untilAborted(queue.msUntilNextDue(), signal).catch(() => undefined);
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
