/**
 * The answer of `GET progress`. Clients poll until `progress` is exactly 0 and `job_count` is 0, some without end. So both are 0 while the
 * caller has no request. `progress` is at least 0.01 otherwise. Source: modules/api/api.py, progressapi, of AUTOMATIC1111's web UI.
 */
import type { ShownRequest } from './running-requests.ts';
import { timestamp } from './timestamp.ts';

const LEAST = 0.01;

interface ProgressOptions {
  /** PNG of the image that is being generated; undefined: none, or not asked for. */
  readonly preview: Uint8Array | undefined;
  /** Until the current job is done, by the queue's measured rate; undefined: nobody knows. */
  readonly waitMs: number | undefined;
  readonly now: Date;
}

export function progressAnswer(requests: readonly ShownRequest[], { preview, waitMs, now }: ProgressOptions): object {
  const current = currentOf(requests);
  const ids = requests.flatMap((request) => request.ids);
  const ended = ids.length - requests.flatMap((request) => request.open).length;
  const { step, steps } = current?.steps ?? { step: 0, steps: 0 };
  const share = steps === 0 ? 0 : step / steps;
  const progress = ids.length === 0 ? 0 : Math.min(1, Math.max(LEAST, (ended + share) / ids.length));
  return {
    progress,
    eta_relative: progress === 0 ? 0 : etaMs(requests, { progress, waitMs }) / 1000,
    state: {
      skipped: requests.some(({ stop }) => stop === 'skipped'),
      interrupted: requests.some(({ stop }) => stop === 'interrupted'),
      stopping_generation: false,
      job: current?.current ?? '',
      job_count: ids.length,
      job_timestamp: timestamp(now),
      job_no: ended,
      sampling_step: step,
      sampling_steps: steps,
    },
    current_image: preview === undefined ? null : Buffer.from(preview).toString('base64'),
    textinfo: null,
  };
}

/** From the time that the steps took; while no worker has begun, from the queue. */
function etaMs(
  requests: readonly ShownRequest[],
  { progress, waitMs = 0 }: { readonly progress: number; readonly waitMs: number | undefined },
): number {
  const elapsed = requests.flatMap((request) => request.elapsedMs ?? []);
  const longestMs = Math.max(0, ...elapsed);
  return elapsed.length === 0 ? waitMs : longestMs / progress - longestMs;
}

/** The request whose steps and preview are shown: the first that a worker has begun, else the first. */
export function currentOf(requests: readonly ShownRequest[]): ShownRequest | undefined {
  return requests.find(({ steps }) => steps.steps > 0) ?? requests[0];
}
