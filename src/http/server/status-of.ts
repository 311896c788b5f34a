/** The meaning of each error code over HTTP: the status, and whether the client should send the same again. The only such table; every door uses it. */
import { ERROR_CODES, type ErrorCode } from '../../errors/error-codes.ts';
import type { Text2ImgError } from '../../errors/text2img-error.ts';
import { isOfEndedJob } from '../front/ended-job.ts';
import { measuredRetryAfter } from '../front/retry-after.ts';

interface HttpFacts {
  readonly status: number;
  /** The same request may succeed later, after so many seconds. Absent: it would end the same, and `x-should-retry: false` says so. */
  readonly retryAfterS?: number;
}

/** Of a job that ended: the server works, and nothing is left to try. */
const ENDED_STATUS = 500;

const HTTP_FACTS: Readonly<Record<ErrorCode, HttpFacts>> = {
  invalid_option: { status: 400 },
  unknown_option: { status: 400 },
  conflicting_options: { status: 400 },
  not_found: { status: 404 },
  invalid_cursor: { status: 400 },
  ambiguous_id: { status: 409 },
  unreadable_file: { status: 400 },
  wrong_job_state: { status: 409 },
  invalid_prompt: { status: 400 },
  prompt_too_large: { status: 400 },
  invalid_parameter: { status: 400 },
  invalid_document: { status: 400 },
  image_too_large: { status: 400 },
  unknown_scheduler: { status: 400 },
  cancelled: { status: 409 },
  model_not_found: { status: 404 },
  model_gated: { status: 500 },
  invalid_model_index: { status: 500 },
  invalid_config: { status: 500 },
  unsupported_class: { status: 500 },
  unsupported_config: { status: 500 },
  unsafe_weights: { status: 500 },
  invalid_safetensors: { status: 500 },
  missing_tensor: { status: 500 },
  wrong_tensor_shape: { status: 500 },
  invalid_tokenizer: { status: 500 },
  invalid_image: { status: 500 },
  device_unavailable: { status: 503, retryAfterS: 30 },
  device_lost: { status: 503, retryAfterS: 30 },
  runtime_unavailable: { status: 503, retryAfterS: 30 },
  engine_crashed: { status: 500 },
  engine_out_of_memory: { status: 500 },
  out_of_memory: { status: 500 },
  engine_stalled: { status: 500 },
  engine_unavailable: { status: 503, retryAfterS: 30 },
  inference_failed: { status: 500 },
  output_lost: { status: 500 },
  store_unwritable: { status: 503, retryAfterS: 30 },
  disk_full: { status: 503, retryAfterS: 60 },
  store_failed: { status: 503, retryAfterS: 5 },
  foreign_object: { status: 500 },
  store_refused: { status: 403 },
  queue_failed: { status: 503, retryAfterS: 5 },
  queue_unauthorized: { status: 503, retryAfterS: 30 },
  queue_refused: { status: 503, retryAfterS: 30 },
  queue_damaged: { status: 500 },
  jobs_left: { status: 500 },
  attempts_exhausted: { status: 500 },
  worker_unhealthy: { status: 503, retryAfterS: 30 },
  download_failed: { status: 503, retryAfterS: 30 },
  webhook_refused: { status: 400 },
  invalid_request: { status: 400 },
  invalid_body: { status: 400 },
  body_too_large: { status: 413 },
  unsupported_media_type: { status: 415 },
  method_not_allowed: { status: 405 },
  not_implemented: { status: 501 },
  unauthorized: { status: 401 },
  origin_refused: { status: 403 },
  idempotency_mismatch: { status: 422 },
  deleted: { status: 410 },
  invalid_link: { status: 403 },
  // As nginx logs it; nobody reads the answer.
  client_disconnected: { status: 499 },
  rate_limit_exceeded: { status: 429, retryAfterS: 5 },
  too_many_pending: { status: 429, retryAfterS: 10 },
  too_many_waiting: { status: 503, retryAfterS: 5 },
  wait_timeout: { status: 504, retryAfterS: 5 },
  no_worker: { status: 503, retryAfterS: 30 },
  shutting_down: { status: 503, retryAfterS: 5 },
  internal: { status: 500 },
};

export interface HttpAnswer {
  readonly status: number;
  /** In lower case: `x-should-retry`, and `retry-after` where a repeat makes sense. */
  readonly headers: Readonly<Record<string, string>>;
}

/** The error of a job that ended stays the same however often it is asked for. */
export function answerTo(error: Text2ImgError): HttpAnswer {
  const { status, retryAfterS } = HTTP_FACTS[error.code];
  if (isOfEndedJob(error)) return { status: endedStatus(error.code, status), headers: { 'x-should-retry': 'false' } };
  if (retryAfterS === undefined) return { status, headers: { 'x-should-retry': 'false' } };
  const seconds = measuredRetryAfter(error) ?? retryAfterS;
  return { status, headers: { 'x-should-retry': 'true', 'retry-after': String(seconds) } };
}

/** A worker's trouble is no 503 of the server, and a model that is missing there is no 404 here. */
function endedStatus(code: ErrorCode, status: number): number {
  const { fault } = ERROR_CODES[code];
  return fault === 'request' || fault === 'usage' ? status : ENDED_STATUS;
}
