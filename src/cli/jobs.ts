/**
 * `text2img jobs`: list, show, retry, cancel.
 */
import { Text2ImgError } from '../errors/text2img-error.ts';
import type { JobSummary, PromptQueue } from '../queue/prompt-queue.ts';
import { type CommandContext, type ExitCode, printResult } from './command-context.ts';
import { adoptImages } from './adopt-images.ts';
import { openQueue } from './open-queue.ts';
import { excerpt, printable } from '../lib/foreign-text.ts';

export interface JobsInvocation {
  /** One of `program.ts`'s actions. */
  readonly action: string;
  readonly id: string;
}

export async function jobs(context: CommandContext, { action, id }: JobsInvocation): Promise<ExitCode> {
  await using queue = openQueue(context, { looksOnly: true });
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
  const { limit, status, json } = context.config;
  const summaries = await queue.list({ limit, ...(status === undefined ? {} : { status }) });
  if (json) {
    for (const summary of summaries) context.terminal.result(JSON.stringify(summary));
    return 0;
  }
  const counts = await queue.counts();
  for (const summary of summaries) context.terminal.result(formatRow(summary));
  context.terminal.line(
    `${counts.pending} pending, ${counts.processing} processing, ${counts.completed} completed, ${counts.error} in error`,
  );
  return 0;
}

function formatRow(summary: JobSummary): string {
  const state = summary.status === 'processing' ? (formatProgress(summary) ?? 'processing') : summary.status;
  const outcome = summary.error ?? summary.imageUrls?.[0] ?? '';
  return [
    printable(summary.id).padEnd(8),
    state.padEnd(14),
    excerpt(summary.text, 48).padEnd(48),
    excerpt(outcome, 100),
  ]
    .join('  ')
    .trimEnd();
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
    ['text', excerpt(summary.text, 2000)],
    ['priority', String(summary.priority)],
    ['attempts', String(summary.attempts)],
    ['owner', summary.owner],
    ['lease until', summary.leaseUntil?.toISOString()],
    ['enqueued', summary.enqueuedAt?.toISOString()],
    ['finished', summary.finishedAt?.toISOString()],
    ['seed', summary.seed?.toString()],
    ...Object.entries(summary.parameters ?? {}).map(
      ([name, value]) => [`  ${name}`, excerpt(String(value), 2000)] as const,
    ),
    ...(summary.imageUrls ?? []).map((url) => ['picture', url] as const),
    ...(summary.warnings ?? []).map((warning) => ['warning', warning] as const),
    ['error', summary.error],
  ];
  return rows
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${printable(name).padEnd(24)}${printable(value ?? '')}`);
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
  if (!done)
    throw new Text2ImgError('wrong_job_state', `The job ${JSON.stringify(id)} cannot be ${verb}: it ${refusal}.`);
  printResult(context, { json: { id, status }, text: `${printable(id)} ${verb}` });
  return 0;
}

function noSuchJob(id: string): Text2ImgError {
  return new Text2ImgError('not_found', `There is no job ${JSON.stringify(excerpt(id, 200))}.`);
}
