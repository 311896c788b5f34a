/** The four tools, as functions of the front. They know nothing of the transport. */
import type { CallToolResult } from '@modelcontextprotocol/server';
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { omitUndefined } from '../../lib/omit-undefined.ts';
import type { Logger } from '../../observability/logger.ts';
import type { JobSummary } from '../../queue/prompt-queue.ts';
import type { Caller } from '../front/caller.ts';
import type { EndedJob, Front, JobEvent, StoredImage } from '../front/front.ts';
import { cancelArguments, generateArguments, getArguments, type ToolArguments } from './tool-arguments.ts';
import { completedResult, errorResult, failedResult, openResult, textResult } from './tool-results.ts';

/** The caller of the tools, and its surroundings. */
export interface ToolHost {
  readonly front: Front;
  readonly caller: Caller;
  /** Where the client finds the image; undefined: nowhere. */
  readonly urlOf: (job: JobSummary, image: StoredImage) => string | undefined;
  readonly logger: Logger;
  /** Called for a job that has not ended: this process may have to start its worker. The signal that it returns aborts when it cannot, with the error. */
  readonly onJob?: () => AbortSignal | undefined;
}

/** One call of a tool. */
export interface ToolCall {
  /** Aborted when the client takes the call back. Then the job that it made is cancelled. */
  readonly cancelled: AbortSignal;
  /** Aborted when nobody waits for the answer any longer. */
  readonly gone: AbortSignal;
  /** Undefined: the client asked for none. */
  readonly onProgress: ((event: JobEvent) => void) | undefined;
}

export async function generateImage(host: ToolHost, given: ToolArguments, call: ToolCall): Promise<CallToolResult> {
  const { front } = host;
  const { document, model, waitMs, includesImages } = generateArguments(given);
  const choice = front.models.resolve(model);
  const failed = host.onJob?.();
  // One signal for both: the front knows the request by it.
  const caller = callerOf(host, call, failed);
  const { ids } = await front.create(caller, [{ document, model: choice.id }], { body: given, isWatched: waitMs > 0 });
  const [id = ''] = ids;
  try {
    const job = await untilEnded(front, id, { caller, waitMs, onEvent: call.onProgress });
    if (job === undefined) return await openNow(host, id, includesImages);
    if (job.status === 'completed') return await imagesOf(host, job, includesImages);
    return errorResult(errorOf(job), id);
  } catch (error) {
    const code = error instanceof Text2ImgError ? error.code : undefined;
    // An agent reads that no worker is there, and calls again later.
    const isOver = call.cancelled.aborted || failed?.aborted === true || code === 'no_worker';
    // A server that goes down ends the calls, and the jobs stay.
    if (isOver && code !== 'shutting_down') await takeBack(host, id);
    throw failed?.aborted === true ? failed.reason : error;
  }
}

export async function getPrompt(host: ToolHost, given: ToolArguments, call: ToolCall): Promise<CallToolResult> {
  const { front, caller } = host;
  const { id, waitMs, includesImages } = getArguments(given);
  const job = await front.show(caller, id);
  const last = isOpen(job) ? ((await untilDrawn(host, id, { waitMs, call })) ?? (await front.show(caller, id))) : job;
  if (isOpen(last)) return openResult(last, await front.estimateMs(id));
  return last.status === 'completed' ? imagesOf(host, last, includesImages) : failedResult(last);
}

/** The job may be one of an earlier process, and no worker runs yet. */
async function untilDrawn(host: ToolHost, id: string, { waitMs, call }: Asked): Promise<EndedJob | undefined> {
  const failed = host.onJob?.();
  try {
    return await untilEnded(host.front, id, { caller: callerOf(host, call, failed), waitMs, onEvent: call.onProgress });
  } catch (error) {
    throw failed?.aborted === true ? failed.reason : error;
  }
}

interface Asked {
  readonly waitMs: number;
  readonly call: ToolCall;
}

export async function cancelPrompt({ front, caller }: ToolHost, given: ToolArguments): Promise<CallToolResult> {
  const { id } = cancelArguments(given);
  const cancelled = await front.cancel(caller, id);
  const { status } = await front.show(caller, id);
  const line = cancelled ? `Prompt ${id} is cancelled.` : `Prompt ${id} had ended before, as ${status}.`;
  return textResult([line], { id, status, cancelled });
}

export function listModels({ front }: ToolHost): CallToolResult {
  const models = front.models.list().map(({ id, aliases, isDefault }) => ({ id, aliases, default: isDefault }));
  const lines = models.map(({ id, aliases, default: isDefault }) => {
    const others = aliases.length === 0 ? '' : ` (also called ${aliases.join(', ')})`;
    return `${id}${others}${isDefault ? ', the default' : ''}`;
  });
  return textResult(lines, { models });
}

/** @param failed aborted: nobody will generate its jobs */
function callerOf({ caller }: ToolHost, { gone, cancelled }: ToolCall, failed: AbortSignal | undefined): Caller {
  const signals = [caller.gone, gone, cancelled, ...(failed === undefined ? [] : [failed])];
  return { ...caller, gone: AbortSignal.any(signals) };
}

interface Waiting {
  readonly caller: Caller;
  readonly waitMs: number;
  readonly onEvent: ToolCall['onProgress'];
}

/** @returns undefined where the time is over first */
async function untilEnded(
  front: Front,
  id: string,
  { caller, waitMs, onEvent }: Waiting,
): Promise<EndedJob | undefined> {
  if (waitMs === 0) return undefined;
  try {
    const options = { timeoutMs: waitMs, ...omitUndefined({ onEvent }) };
    const [job] = await front.wait(caller, [id], options);
    return job;
  } catch (error) {
    if (error instanceof Text2ImgError && error.code === 'wait_timeout') return undefined;
    throw error;
  }
}

async function openNow(host: ToolHost, id: string, includesImages: boolean): Promise<CallToolResult> {
  const { front, caller } = host;
  const job = await front.show(caller, id);
  // It may have ended since.
  if (!isOpen(job))
    return job.status === 'completed' ? imagesOf(host, job, includesImages) : errorResult(errorOf(job), id);
  return openResult(job, await front.estimateMs(id));
}

async function imagesOf(host: ToolHost, job: JobSummary, includesImages: boolean): Promise<CallToolResult> {
  const images = await host.front.imagesOf(job);
  return completedResult(job, { images, includesImages, urlOf: (image) => host.urlOf(job, image) });
}

/** The call is over without images, and so is the job that it made. */
async function takeBack({ front, caller, logger }: ToolHost, id: string): Promise<void> {
  try {
    await front.cancel(caller, id);
    logger.info('a call of a tool was taken back, and its job is cancelled', { prompt_id: id });
  } catch (error) {
    logger.repeated('a job whose call was taken back could not be cancelled', { prompt_id: id, error });
  }
}

function isOpen({ status }: JobSummary): boolean {
  return status === 'pending' || status === 'processing';
}

/** The job's own error, as it stands in its document: `code: sentence`. */
function errorOf({ error = 'internal: the job ended without an error.', code }: EndedJob): Text2ImgError {
  const known = code ?? 'internal';
  const prefix = `${known}: `;
  return new Text2ImgError(known, error.startsWith(prefix) ? error.slice(prefix.length) : error);
}
