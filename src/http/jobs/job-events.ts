/**
 * The events of a job for the jobs API, and what a client that comes back has seen already. An event's id names the state that it reported, so any server can
 * go on where another one stopped.
 */
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { omitUndefined } from '../../lib/omit-undefined.ts';
import { pause } from '../../lib/pause.ts';
import type { JobSummary } from '../../queue/prompt-queue.ts';
import type { Caller } from '../front/caller.ts';
import type { Front, JobEvent } from '../front/front.ts';
import type { EventFeed, SentEvent } from './event-feed.ts';

/** Longer than any job that is worth watching; then it is waited for again. */
const WAIT_MS = 60 * 60_000;
/** Before a wait that ended without the job is begun anew. */
const AGAIN_MS = 1000;

/** How a job is shown, with links and all. */
export type View = (job: JobSummary) => unknown;

export function isEnded({ status }: Pick<JobSummary, 'status'>): boolean {
  return status === 'completed' || status === 'error';
}

/** The id of a job's last event. A retry ends at another time. */
export function endId({ status, finishedAt }: JobSummary): string {
  return `${status}.${finishedAt?.getTime() ?? 0}`;
}

/** The present state of a job that has not ended. */
export function presentEvents(job: JobSummary, ahead: number | undefined): readonly SentEvent[] {
  const { id, status, progress } = job;
  const known = statusEvent({ id, status, position: ahead });
  return progress === undefined ? [known] : [known, progressEvent({ id, ...progress })];
}

export function endEvent(job: JobSummary, view: View): SentEvent {
  return { event: job.status === 'completed' ? 'completed' : 'error', id: endId(job), data: view(job) };
}

function sentEvent(event: JobEvent, view: View): SentEvent {
  switch (event.type) {
    case 'status':
      return statusEvent(event);
    case 'progress':
      return progressEvent(event);
    case 'preview': {
      const { id, step, steps, png } = event;
      const image = Buffer.from(png).toString('base64');
      return { event: 'preview', data: { id, step, steps, content_type: 'image/png', image } };
    }
    case 'completed':
    case 'error':
      return endEvent(event.job, view);
  }
}

function statusEvent({
  id,
  status,
  position,
}: {
  readonly id: string;
  readonly status: string;
  readonly position?: number | undefined;
}): SentEvent {
  return { event: 'status', id: status, data: { id, status, ...omitUndefined({ ahead: position }) } };
}

function progressEvent({
  id,
  step,
  steps,
}: {
  readonly id: string;
  readonly step: number;
  readonly steps: number;
}): SentEvent {
  return { event: 'progress', id: `processing.${step}`, data: { id, step, steps } };
}

interface Following {
  readonly front: Pick<Front, 'wait'>;
  readonly caller: Caller;
  readonly view: View;
  readonly feed: EventFeed;
}

/**
 * Hands the job's events to the feed until it has ended. A server that stops ends the feed without the job's end; the client then comes back.
 * @returns the error that ended it early @throws never
 */
export async function followJob(
  id: string,
  { front, caller, view, feed }: Following,
): Promise<Text2ImgError | undefined> {
  let hasEnd = false;
  const onEvent = (event: JobEvent): void => {
    hasEnd ||= event.type === 'completed' || event.type === 'error';
    feed.push(sentEvent(event, view));
  };
  try {
    const [job] = await waitLong(id, { front, caller, onEvent });
    if (job !== undefined && !hasEnd) feed.push(endEvent(job, view));
    return undefined;
  } catch (error) {
    const early = Text2ImgError.from(error);
    const { code, message } = early;
    if (code === 'deleted' || code === 'not_found')
      feed.push({ event: 'error', data: { id, error: { code, detail: message } } });
    return early;
  } finally {
    feed.end();
  }
}

async function waitLong(
  id: string,
  { front, caller, onEvent }: Pick<Following, 'front' | 'caller'> & { readonly onEvent: (event: JobEvent) => void },
): Promise<readonly JobSummary[]> {
  for (;;) {
    try {
      return await front.wait(caller, [id], { timeoutMs: WAIT_MS, onEvent, withPreviews: true });
    } catch (error) {
      const { code } = Text2ImgError.from(error);
      if (code !== 'wait_timeout' && code !== 'no_worker') throw error;
      await pause(AGAIN_MS, caller.gone);
    }
  }
}
