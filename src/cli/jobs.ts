/**
 * `text2img jobs`: list, show, retry, cancel.
 */
import type { Config } from '../config/options.ts';
import { Text2ImgError } from '../errors/text2img-error.ts';
import { LARGEST_PAGE } from '../queue/list-cursor.ts';
import type { ListedJob, PromptQueue, QueueCounts } from '../queue/prompt-queue.ts';
import { type CommandContext, type ExitCode, printResult, type QueueContext } from './command-context.ts';
import { jsonLine } from './json-output.ts';
import { adoptImages } from './adopt-images.ts';
import { openQueue } from '../app/open-queue.ts';
import { queueSettings } from '../app/settings.ts';
import { excerpt, quote } from '../lib/foreign-text.ts';
import { jobDetails } from './job-details.ts';
import { jobJson } from './job-facts.ts';
import { retryAll, selectionOf } from './retry-jobs.ts';
import { jobTable } from './job-table.ts';

const VALUE_LENGTH = 2000;
/** Of one job: a few of its last runs are kept. */
const MAX_WEBHOOKS = 100;
/** Of the jobs that an id may mean. */
const MAX_SHOWN_IDS = 10;
const SHOWN_ID_LENGTH = 40;

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
      return await retry(context, queue, id);
    case 'cancel':
      return change(context, id, {
        queue,
        done: await queue.cancel(id),
        verb: 'cancelled',
        status: 'error',
        refusal: 'has ended already',
      });
    default:
      return await list(context, queue);
  }
}

async function retry(context: QueueContext, queue: PromptQueue, id: string): Promise<ExitCode> {
  const { config, terminal } = context;
  const selection = selectionOf(config, id);
  if (selection !== undefined) return retryAll(context, queue, selection);
  if (config.adopt) {
    const adopted = await adoptImages(context, queue, id);
    terminal.line(`${adopted} ${adopted === 1 ? 'image' : 'images'} adopted`);
  }
  return change(context, id, {
    queue,
    done: await queue.retry(id, { force: config.force }),
    verb: 'retried',
    status: 'pending',
    refusal: 'has not ended yet',
  });
}

async function list(context: CommandContext, queue: PromptQueue): Promise<ExitCode> {
  const { config, terminal } = context;
  let isFirst = true;
  // The first page decides, so that all pages have the same columns.
  let hasModels: boolean | undefined;
  for await (const page of pages(queue, config)) {
    const nowMs = Date.now();
    hasModels ??= config.jobModel === undefined && page.some(({ model }) => model !== undefined);
    if (config.json) for (const job of page) terminal.result(jsonLine(jobJson(job, nowMs)));
    else if (page.length > 0)
      terminal.result(jobTable(page, { width: terminal.resultColumns, isFirst, nowMs, hasModels }));
    isFirst = false;
  }
  if (!config.json) terminal.line(countsText(await queue.counts(), queue.description));
  return 0;
}

/** An empty queue says where it is: it may be the wrong one. */
function countsText({ pending, processing, completed, error, stuck }: QueueCounts, place: string): string {
  const more = stuck === 0 ? '' : `, ${stuck} stuck ("text2img jobs retry --force ID" retries one)`;
  const text = `${pending} pending, ${processing} processing, ${completed} completed, ${error} in error${more}`;
  return pending + processing + completed + error + stuck === 0 ? `${text}: 0 jobs in ${place}` : text;
}

/** So that never more than one page is in memory. */
async function* pages(
  queue: PromptQueue,
  { limit, status, after, jobModel: model }: Pick<Config, 'limit' | 'status' | 'after' | 'jobModel'>,
): AsyncGenerator<readonly ListedJob[]> {
  let place = after;
  for (let left = limit; left > 0; ) {
    const page = await queue.list({ limit: left, status, after: place, model });
    yield page;
    if (page.length < Math.min(left, LARGEST_PAGE)) return;
    left -= page.length;
    place = page.at(-1)?.cursor;
  }
}

/** Takes the beginning of an id too, if no other id begins so. */
async function show(context: CommandContext, queue: PromptQueue, id: string): Promise<ExitCode> {
  const summary = (await queue.show(id)) ?? (await queue.show(await idOfPrefix(queue, id)));
  if (summary === undefined) throw noSuchJob(id, queue);
  const nowMs = Date.now();
  const webhooks = await queue.outbox.list({ promptId: summary.id, limit: MAX_WEBHOOKS });
  printResult(context, {
    json: { ...jobJson(summary, nowMs), webhooks },
    text: jobDetails(summary, webhooks, nowMs),
  });
  return 0;
}

/** @throws `not_found`, `ambiguous_id` */
async function idOfPrefix(queue: PromptQueue, prefix: string): Promise<string> {
  const found = await queue.idsWithPrefix(prefix, MAX_SHOWN_IDS + 1);
  const [first, second] = found;
  if (first === undefined) throw noSuchJob(prefix, queue);
  if (second === undefined) return first;
  const shown = found.slice(0, MAX_SHOWN_IDS).map((id) => excerpt(id, SHOWN_ID_LENGTH));
  const more = found.length > MAX_SHOWN_IDS ? ', …' : '';
  throw new Text2ImgError(
    'ambiguous_id',
    `Several jobs begin with ${quote(prefix)}: ${shown.join(', ')}${more}. Give more of the id.`,
  );
}

interface Change {
  readonly queue: PromptQueue;
  /** As the queue answers: undefined, no such job; false, not in this state. */
  readonly done: boolean | undefined;
  readonly verb: string;
  readonly status: string;
  readonly refusal: string;
}

function change(context: CommandContext, id: string, { queue, done, verb, status, refusal }: Change): ExitCode {
  if (done === undefined) throw noSuchJob(id, queue, ' This command takes whole ids only.');
  if (!done) throw new Text2ImgError('wrong_job_state', `The job ${quote(id)} cannot be ${verb}: it ${refusal}.`);
  printResult(context, { json: { id, status }, text: `${excerpt(id, VALUE_LENGTH)} ${verb}` });
  return 0;
}

function noSuchJob(id: string, { description }: Pick<PromptQueue, 'description'>, advice = ''): Text2ImgError {
  return new Text2ImgError(
    'not_found',
    `There is no job ${quote(id)} in ${description}.${advice} List the jobs with "text2img jobs list".`,
  );
}
