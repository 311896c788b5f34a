/**
 * `text2img jobs`: list, show, retry, cancel.
 */
import { Text2ImgError } from '../errors/text2img-error.ts';
import { LARGEST_PAGE } from '../queue/list-cursor.ts';
import type { JobSummary, ListedJob, ListOptions, PromptQueue } from '../queue/prompt-queue.ts';
import { type CommandContext, type ExitCode, printResult, type QueueContext } from './command-context.ts';
import { jsonLine } from './json-output.ts';
import { adoptImages } from './adopt-images.ts';
import { openQueue } from '../app/open-queue.ts';
import { queueSettings } from '../app/settings.ts';
import { excerpt, printable, quote } from '../lib/foreign-text.ts';

/** Of an id and a state in a row of the list. */
const ID_LENGTH = 120;
const STATE_LENGTH = 30;
/** Of a value in `jobs show`, and the rows of one kind. */
const VALUE_LENGTH = 2000;
const MAX_ROWS = 100;

export interface JobsInvocation {
  /** One of `program.ts`'s actions. */
  readonly action: string;
  readonly id: string;
}

export async function jobs(context: QueueContext, { action, id }: JobsInvocation): Promise<ExitCode> {
  await using queue = await openQueue(queueSettings(context.config, context.mode), {
    ...context,
    looksOnly: true,
  });
  switch (action) {
    case 'show':
      // Awaited, because the queue is closed when this function returns.
      return await show(context, queue, id);
    case 'retry':
      if (context.config.adopt) {
        const adopted = await adoptImages(context, queue, id);
        context.terminal.line(`${adopted} images adopted`);
      }
      return change(context, id, {
        done: await queue.retry(id, { force: context.config.force }),
        verb: 'retried',
        status: 'pending',
        refusal: 'has not ended yet',
      });
    case 'cancel':
      return change(context, id, {
        done: await queue.cancel(id),
        verb: 'cancelled',
        status: 'error',
        refusal: 'has ended already',
      });
    default:
      return await list(context, queue);
  }
}

async function list(context: CommandContext, queue: PromptQueue): Promise<ExitCode> {
  const { config, terminal } = context;
  const format = config.json ? jsonLine : formatRow;
  for await (const job of listed(queue, config)) terminal.result(format(job));
  if (config.json) return 0;
  const counts = await queue.counts();
  const stuck = counts.stuck === 0 ? '' : `, ${counts.stuck} stuck ("text2img jobs retry --force ID" retries one)`;
  context.terminal.line(
    `${counts.pending} pending, ${counts.processing} processing, ${counts.completed} completed, ${counts.error} in error${stuck}`,
  );
  return 0;
}

/** Page by page, so that never more than one is in memory. */
async function* listed(
  queue: PromptQueue,
  { limit, status, after }: Pick<ListOptions, 'limit' | 'status' | 'after'>,
): AsyncGenerator<ListedJob> {
  let place = after;
  for (let left = limit; left > 0; ) {
    const page = await queue.list({ limit: left, status, after: place });
    yield* page;
    if (page.length < Math.min(left, LARGEST_PAGE)) return;
    left -= page.length;
    place = page.at(-1)?.cursor;
  }
}

function formatRow(summary: JobSummary): string {
  const outcome = summary.error ?? summary.imageUrls?.[0] ?? summary.lastError ?? '';
  return [
    excerpt(summary.id, ID_LENGTH).padEnd(8),
    excerpt(formatState(summary), STATE_LENGTH).padEnd(14),
    excerpt(summary.text, 48).padEnd(48),
    excerpt(outcome, 100),
  ]
    .join('  ')
    .trimEnd();
}

function formatState(summary: JobSummary): string {
  if (summary.awaitsRetry === true) return 'waits for retry';
  return formatProgress(summary) ?? summary.status;
}

function formatProgress({ progress }: JobSummary): string | undefined {
  return progress === undefined ? undefined : `step ${progress.step} of ${progress.steps}`;
}

async function show(context: CommandContext, queue: PromptQueue, id: string): Promise<ExitCode> {
  const summary = await queue.show(id);
  if (summary === undefined) throw noSuchJob(id);
  printResult(context, { json: summary, text: formatDetails(summary) });
  return 0;
}

function formatDetails(summary: JobSummary): readonly string[] {
  const rows: readonly (readonly [string, string | undefined])[] = [
    ['id', summary.id],
    ['status', summary.status],
    ['progress', formatProgress(summary)],
    ['text', summary.text],
    ['priority', String(summary.priority)],
    ['attempts', String(summary.attempts)],
    ['owner', summary.owner],
    [summary.awaitsRetry === true ? 'next attempt' : 'lease until', summary.leaseUntil?.toISOString()],
    ['last attempt', summary.lastError],
    ['enqueued', summary.enqueuedAt?.toISOString()],
    ['finished', summary.finishedAt?.toISOString()],
    ['seed', summary.seed?.toString()],
    ...Object.entries(summary.parameters ?? {}).map(([name, value]) => [`  ${name}`, String(value)] as const),
    ...some('image', summary.imageUrls),
    ...some('warning', summary.warnings),
    ['error', summary.error],
  ];
  return rows
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${printable(name).padEnd(24)}${excerpt(value ?? '', VALUE_LENGTH)}`);
}

/** A row for each, up to what somebody reads. */
function some(name: string, values: readonly string[] = []): readonly (readonly [string, string])[] {
  const rows = values.slice(0, MAX_ROWS).map((value) => [name, value] as const);
  const left = values.length - rows.length;
  return left === 0 ? rows : [...rows, [name, `… and ${left} more; --json lists them`]];
}

interface Change {
  /** As the queue answers: undefined, no such job; false, not in this state. */
  readonly done: boolean | undefined;
  readonly verb: string;
  readonly status: string;
  readonly refusal: string;
}

function change(context: CommandContext, id: string, { done, verb, status, refusal }: Change): ExitCode {
  if (done === undefined) throw noSuchJob(id);
  if (!done) throw new Text2ImgError('wrong_job_state', `The job ${quote(id)} cannot be ${verb}: it ${refusal}.`);
  printResult(context, { json: { id, status }, text: `${excerpt(id, VALUE_LENGTH)} ${verb}` });
  return 0;
}

function noSuchJob(id: string): Text2ImgError {
  return new Text2ImgError('not_found', `There is no job ${quote(id)}. List the jobs with "text2img jobs list".`);
}
