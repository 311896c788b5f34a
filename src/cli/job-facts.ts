/** Facts of a job in lists and details alike: how far it is, how long it took, and its JSON. */
import { durationText } from '../lib/duration-text.ts';
import { omitUndefined } from '../lib/omit-undefined.ts';
import type { JobSummary } from '../queue/prompt-queue.ts';

export function progressText({ progress }: JobSummary): string | undefined {
  return progress === undefined ? undefined : `step ${progress.step} of ${progress.steps}`;
}

/** From the last claim to the end, or until now. */
function tookMs({ status, startedAt, finishedAt, awaitsRetry }: JobSummary, nowMs: number): number | undefined {
  if (startedAt === undefined || awaitsRetry === true) return undefined;
  const endMs = status === 'processing' ? nowMs : finishedAt?.getTime();
  return endMs === undefined || endMs < startedAt.getTime() ? undefined : endMs - startedAt.getTime();
}

export function tookText(summary: JobSummary, nowMs: number): string | undefined {
  const ms = tookMs(summary, nowMs);
  return ms === undefined ? undefined : durationText(ms);
}

/** The whole summary, and how long it took. */
export function jobJson<Summary extends JobSummary>(
  summary: Summary,
  nowMs: number,
): Summary & { readonly tookMs?: number } {
  return { ...summary, ...omitUndefined({ tookMs: tookMs(summary, nowMs) }) };
}
