/** A request with one prompt, and the job that it becomes. */
import { Text2ImgError } from '../../errors/text2img-error.ts';
import type { Logger } from '../../observability/logger.ts';
import type { RawPromptDocument } from '../../queue/prompt-queue.ts';
import type { Caller } from '../front/caller.ts';
import { errorOf } from '../front/ended-job.ts';
import type { Created, EndedJob, Front, WaitOptions } from '../front/front.ts';
import type { ModelChoice } from '../front/model-directory.ts';

/** For streams, whose signs of life keep clients waiting. Only a job that nobody can generate takes so long. */
export const STREAM_WAIT_MS = 24 * 60 * 60 * 1000;

export interface ReadBody {
  readonly document: RawPromptDocument;
  /** An error about the document, in the names that the client used. */
  readonly inItsNames: (error: Text2ImgError) => Text2ImgError;
}

export interface NewJob {
  readonly caller: Caller;
  readonly request: ReadBody;
  readonly model: ModelChoice;
  /** As it was parsed. */
  readonly body: unknown;
}

/** @throws what the front refuses, in the names that the client used */
export async function addJob(front: Front, { caller, request, model, body }: NewJob): Promise<Created> {
  try {
    return await front.create(caller, [{ document: request.document, model: model.id }], { body, isWatched: true });
  } catch (error) {
    throw error instanceof Text2ImgError ? request.inItsNames(error) : error;
  }
}

/** For the log of a stream that has begun, where no status says it any more. A client that left is no trouble. */
export function logStreamEnd(logger: Logger, { caller, id }: AddedJob, error: Text2ImgError): void {
  const fields = { request_id: caller.requestId, prompt_id: id, code: error.code };
  if (error.code === 'client_disconnected') logger.debug('a client left its stream', fields);
  else logger.warning('a stream ended with an error', fields);
}

export interface AddedJob {
  readonly caller: Caller;
  readonly id: string;
}

/** @returns the job when it has completed @throws the error that it ended with, and what the front's `wait` throws */
export async function completedJob(front: Front, { caller, id }: AddedJob, options?: WaitOptions): Promise<EndedJob> {
  const [job] = await front.wait(caller, [id], options);
  if (job === undefined) throw new Text2ImgError('internal', 'the wait for a job ended without it.');
  if (job.status !== 'completed') throw errorOf(job);
  return job;
}
