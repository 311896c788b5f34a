/** The rows of `jobs list`. On a terminal a row fits the width, and what came of the job stands on a line of its own. */
import { durationText } from '../lib/duration-text.ts';
import { cut, excerpt } from '../lib/foreign-text.ts';
import { type Column, textTable } from '../lib/text-table.ts';
import type { JobSummary } from '../queue/prompt-queue.ts';
import { tookText } from './job-facts.ts';

const ID_LENGTH = 120;
const STATE_LENGTH = 30;
const WORKER_LENGTH = 60;
const MODEL_LENGTH = 60;
const TEXT_LENGTH = 48;
const OUTCOME_LENGTH = 100;
/** Minimum widths of columns where the terminal is narrow. */
const LEAST = { id: 24, worker: 5, model: 5, prompt: 10 } as const;

export interface JobTableOptions {
  /** Of the terminal; undefined: plain columns, one line a job. */
  readonly width: number | undefined;
  /** False for a page that goes on. */
  readonly isFirst: boolean;
  readonly nowMs: number;
  /** A column says which model each job is for. Default: none. */
  readonly hasModels?: boolean;
}

export function jobTable(
  jobs: readonly JobSummary[],
  { width, isFirst, nowMs, hasModels = false }: JobTableOptions,
): readonly string[] {
  const column = (heading: string, cell: (job: JobSummary) => string, leastWidth?: number): Column => ({
    heading,
    cells: jobs.map(cell),
    ...(leastWidth === undefined ? {} : { leastWidth }),
  });
  const columns = [
    column('ID', ({ id }) => excerpt(id, ID_LENGTH), LEAST.id),
    column('STATUS', (job) => excerpt(shortState(job), STATE_LENGTH)),
    column('AGE', (job) => ageText(job, nowMs)),
    column('TRIED', ({ attempts }) => (attempts === 0 ? '' : String(attempts))),
    column('TOOK', (job) => largestUnit(tookText(job, nowMs) ?? '')),
    column('WORKER', ({ worker }) => excerpt(worker ?? '', WORKER_LENGTH), LEAST.worker),
    ...(hasModels ? [column('MODEL', ({ model }) => excerpt(model ?? '', MODEL_LENGTH), LEAST.model)] : []),
    column('PROMPT', ({ text }) => excerpt(text, TEXT_LENGTH), LEAST.prompt),
  ];
  if (width === undefined)
    return textTable([...columns, column('RESULT', (job) => excerpt(outcomeOf(job), OUTCOME_LENGTH))], {
      width,
      hasHeadings: isFirst,
    });
  // A line that fills the last column wraps on some terminals.
  const [heading, ...rows] = textTable(columns, { width: width - 1, hasHeadings: true });
  const lines = jobs.flatMap((job, index) => {
    const outcome = outcomeOf(job);
    return [rows[index] ?? '', ...(outcome === '' ? [] : [cut(`  ${excerpt(outcome, width)}`, width - 1)])];
  });
  return isFirst && heading !== undefined ? [heading, ...lines] : lines;
}

/** The job's error or first image, else the error of its last attempt. */
function outcomeOf({ error, imageUrls, lastError }: JobSummary): string {
  return error ?? imageUrls?.[0] ?? lastError ?? '';
}

function ageText({ enqueuedAt }: JobSummary, nowMs: number): string {
  const age = enqueuedAt === undefined ? '' : durationText(nowMs - enqueuedAt.getTime());
  return largestUnit(age).replace(/\.\d /, ' ');
}

/** `3 h` of `3 h 5 min`. */
function largestUnit(duration: string): string {
  return duration.split(' ').slice(0, 2).join(' ');
}

/** `step 3/20`: short, because the id takes its room. */
function shortState(job: JobSummary): string {
  if (job.awaitsRetry === true) return 'waits';
  return job.progress === undefined ? job.status : `step ${job.progress.step}/${job.progress.steps}`;
}
