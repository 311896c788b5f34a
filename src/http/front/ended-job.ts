/** The end of a job, with the error code that its sentence begins with. */
import { ERROR_CODES, type ErrorCode } from '../../errors/error-codes.ts';
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { omitUndefined } from '../../lib/omit-undefined.ts';
import type { JobSummary } from '../../queue/prompt-queue.ts';
import type { EndedJob } from './front.ts';

/** `code: sentence`, as the queue writes it. */
const ERROR = /^([a-z_]{1,64}): ([^]*)$/;

export function endedJob(job: JobSummary): EndedJob {
  return { ...job, ...omitUndefined({ code: job.status === 'error' ? readError(job.error)?.code : undefined }) };
}

const ofEndedJobs = new WeakSet<Text2ImgError>();

/** The error that a job ended with, as the error it was. Another program may have written another text: that is `internal`. */
export function errorOf(job: Pick<JobSummary, 'error'>): Text2ImgError {
  const { code = 'internal', sentence = 'the job ended in error.' } = readError(job.error) ?? {
    code: undefined,
    sentence: job.error,
  };
  const error = new Text2ImgError(code, sentence);
  ofEndedJobs.add(error);
  return error;
}

/** It is a job's, so that asking again would end the same. */
export function isOfEndedJob(error: Text2ImgError): boolean {
  return ofEndedJobs.has(error);
}

function readError(text: string | undefined): { readonly code: ErrorCode; readonly sentence: string } | undefined {
  const [, code = '', sentence = ''] = ERROR.exec(text ?? '') ?? [];
  return isCode(code) ? { code, sentence } : undefined;
}

function isCode(text: string): text is ErrorCode {
  return Object.hasOwn(ERROR_CODES, text);
}
