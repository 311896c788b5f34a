/**
 * Every error code there is: whose fault it is, what follows, and what it means.
 * `docs/errors.md` lists the same codes; a test compares the two.
 */

/** `usage` exits with 2, `request` with 3, `model` with 4, `infrastructure` with 5, `bug` with 70. */
export type ErrorFault = 'usage' | 'request' | 'model' | 'infrastructure' | 'bug';

/**
 * `fail`: final, trying again would end the same. `retry`: another attempt may succeed. `retry-alone`: as `retry`, but with nothing else in its
 * batch. `give-back`: trouble of the environment, which is never the job's. The worker releases the job, and the attempt does not count.
 */
export type ErrorConsequence = 'fail' | 'retry' | 'retry-alone' | 'give-back';

interface ErrorCodeFacts {
  readonly fault: ErrorFault;
  /** The effect on the job that met the error, and on the jobs that failed with it. */
  readonly consequence: ErrorConsequence;
  readonly meaning: string;
}

export const ERROR_CODES = {
  // usage: how the program was called
  invalid_option: {
    fault: 'usage',
    consequence: 'fail',
    meaning: 'A flag or environment variable has a value that is not allowed.',
  },
  unknown_option: { fault: 'usage', consequence: 'fail', meaning: 'A flag or command that does not exist.' },
  conflicting_options: {
    fault: 'usage',
    consequence: 'fail',
    meaning: 'Options that cannot be used together, or one that needs another.',
  },
  not_found: {
    fault: 'usage',
    consequence: 'fail',
    meaning: 'The job, file, folder or URL that was named does not exist.',
  },
  invalid_cursor: {
    fault: 'usage',
    consequence: 'fail',
    meaning: 'The cursor of a list of jobs is not of this queue.',
  },
  ambiguous_id: {
    fault: 'usage',
    consequence: 'fail',
    meaning: 'The id on the command line fits two documents, as 7 and "7" do.',
  },
  unreadable_file: {
    fault: 'usage',
    consequence: 'fail',
    meaning: 'A file named on the command line exists, but its content cannot be read.',
  },
  wrong_job_state: {
    fault: 'usage',
    consequence: 'fail',
    meaning: 'The state of the job does not allow this.',
  },

  // request: the prompt document or the generation options
  invalid_prompt: { fault: 'request', consequence: 'fail', meaning: '`text` is missing or not a string.' },
  prompt_too_large: { fault: 'request', consequence: 'fail', meaning: '`text` has more bytes than the limit.' },
  invalid_parameter: {
    fault: 'request',
    consequence: 'fail',
    meaning: 'A generation parameter is outside its range or of the wrong type.',
  },
  invalid_document: {
    fault: 'request',
    consequence: 'fail',
    meaning: 'A document cannot be enqueued or processed as it is.',
  },
  image_too_large: {
    fault: 'request',
    consequence: 'fail',
    meaning: 'A stored image has more bytes than may be read.',
  },
  unknown_scheduler: {
    fault: 'request',
    consequence: 'fail',
    meaning: 'The scheduler is not implemented.',
  },
  cancelled: { fault: 'request', consequence: 'fail', meaning: 'The job was cancelled by an operator.' },

  // model: the checkpoint
  model_not_found: {
    fault: 'model',
    consequence: 'fail',
    meaning: 'The checkpoint folder, or a file that it must have, does not exist or cannot be read.',
  },
  model_gated: {
    fault: 'model',
    consequence: 'fail',
    meaning: 'The hub gives the model only to accounts that accepted its terms.',
  },
  invalid_model_index: {
    fault: 'model',
    consequence: 'fail',
    meaning: '`model_index.json` is missing, not JSON, or names no pipeline.',
  },
  invalid_config: {
    fault: 'model',
    consequence: 'fail',
    meaning:
      'A component’s configuration is not JSON, has a value of the wrong type or outside its range, or contradicts itself or another component.',
  },
  unsupported_class: {
    fault: 'model',
    consequence: 'fail',
    meaning: 'The checkpoint names a pipeline, network or scheduler class that is not implemented.',
  },
  unsupported_config: {
    fault: 'model',
    consequence: 'fail',
    meaning: 'A configuration key has a value that is not implemented.',
  },
  unsafe_weights: {
    fault: 'model',
    consequence: 'fail',
    meaning: 'The weights exist only as a pickle, which can run code when it is read.',
  },
  invalid_safetensors: {
    fault: 'model',
    consequence: 'fail',
    meaning: 'A safetensors file is truncated or its header contradicts the file.',
  },
  missing_tensor: {
    fault: 'model',
    consequence: 'fail',
    meaning: 'A tensor that the configuration asks for is not in the weights.',
  },
  wrong_tensor_shape: {
    fault: 'model',
    consequence: 'fail',
    meaning: 'A tensor has another shape or type than the configuration asks for.',
  },
  invalid_tokenizer: {
    fault: 'model',
    consequence: 'fail',
    meaning: 'The tokenizer files are missing or contradict each other.',
  },
  invalid_image: {
    fault: 'model',
    consequence: 'fail',
    meaning: 'The model made no image: its numbers are not finite, or every pixel has the same colour.',
  },

  // infrastructure: the machine, the engine process, queue and store
  device_unavailable: {
    fault: 'infrastructure',
    consequence: 'give-back',
    meaning: 'The device asked for cannot be used on this machine.',
  },
  device_lost: {
    fault: 'infrastructure',
    consequence: 'give-back',
    meaning: 'The GPU failed while it worked: its hardware, its connection or its driver. No job is at fault.',
  },
  runtime_unavailable: {
    fault: 'infrastructure',
    consequence: 'give-back',
    meaning: 'The runtime asked for cannot be used: its libraries are missing, broken or of another version.',
  },
  engine_crashed: {
    fault: 'infrastructure',
    consequence: 'retry-alone',
    meaning: 'The engine process ended while it was working, or its work broke the connection to the GPU.',
  },
  engine_out_of_memory: {
    fault: 'infrastructure',
    consequence: 'retry-alone',
    meaning: 'The engine process ran out of memory or was killed for it.',
  },
  out_of_memory: {
    fault: 'infrastructure',
    consequence: 'fail',
    meaning: 'The image, or the model, needs more memory than is free. It was refused before anything was computed.',
  },
  engine_stalled: {
    fault: 'infrastructure',
    consequence: 'retry-alone',
    meaning: 'The engine made no progress for too long and was ended.',
  },
  engine_unavailable: {
    fault: 'infrastructure',
    consequence: 'give-back',
    meaning: 'The engine could not be started.',
  },
  inference_failed: {
    fault: 'infrastructure',
    consequence: 'retry',
    meaning: 'The runtime failed while it ran a network.',
  },
  output_lost: {
    fault: 'infrastructure',
    consequence: 'fail',
    meaning:
      'Standard output could not be written, or nobody read it. Results are missing there; the work itself is done.',
  },
  store_unwritable: {
    fault: 'infrastructure',
    consequence: 'give-back',
    meaning: 'The image store or output folder cannot be written.',
  },
  disk_full: {
    fault: 'infrastructure',
    consequence: 'give-back',
    meaning: 'No space is left where the image or the queue is written.',
  },
  store_failed: {
    fault: 'infrastructure',
    consequence: 'give-back',
    meaning: 'The image store failed for another reason.',
  },
  foreign_object: {
    fault: 'infrastructure',
    consequence: 'fail',
    meaning:
      'Another document’s object has the name of this image. It is never overwritten, and never served as this image.',
  },
  store_refused: {
    fault: 'infrastructure',
    consequence: 'fail',
    meaning: 'The image store refuses this image for good, though it takes others.',
  },
  queue_failed: {
    fault: 'infrastructure',
    consequence: 'give-back',
    meaning: 'The queue could not be read or written.',
  },
  queue_unauthorized: {
    fault: 'infrastructure',
    consequence: 'give-back',
    meaning: 'The database refuses this user, or does not allow what a worker does.',
  },
  queue_refused: {
    fault: 'infrastructure',
    consequence: 'give-back',
    meaning: 'The database refuses to change any of the pending prompts.',
  },
  queue_damaged: {
    fault: 'infrastructure',
    consequence: 'fail',
    meaning: 'The file of the embedded queue is damaged, was removed, or belongs to another program.',
  },
  jobs_left: {
    fault: 'infrastructure',
    consequence: 'fail',
    meaning: 'The run is over, but the queue still has jobs that the worker may not touch.',
  },
  attempts_exhausted: {
    fault: 'infrastructure',
    consequence: 'fail',
    meaning: 'Every attempt failed, crashed or timed out.',
  },
  worker_unhealthy: {
    fault: 'infrastructure',
    consequence: 'retry',
    meaning: 'The health file of the worker is missing or too old, or the worker has had no engine for five minutes.',
  },
  download_failed: {
    fault: 'infrastructure',
    consequence: 'retry',
    meaning: 'A file could not be downloaded, or its checksum is wrong.',
  },

  webhook_refused: {
    fault: 'infrastructure',
    consequence: 'fail',
    meaning: 'The callback URL of a document leads to an address that is not public.',
  },

  // requests over HTTP: they decide nothing about a job
  invalid_request: {
    fault: 'request',
    consequence: 'fail',
    meaning: 'An HTTP request is malformed: its URL, a header, or its length.',
  },
  invalid_body: {
    fault: 'request',
    consequence: 'fail',
    meaning: 'The body of an HTTP request is not JSON, is nested too deeply, or is not UTF-8.',
  },
  body_too_large: {
    fault: 'request',
    consequence: 'fail',
    meaning: 'The body of an HTTP request has more bytes than the server reads.',
  },
  unsupported_media_type: {
    fault: 'request',
    consequence: 'fail',
    meaning: 'The `content-type` of an HTTP request is not one that this route reads.',
  },
  method_not_allowed: {
    fault: 'request',
    consequence: 'fail',
    meaning: 'The URL exists, but not with this HTTP method.',
  },
  not_implemented: {
    fault: 'request',
    consequence: 'fail',
    meaning: 'The server does not offer this, or cannot with the rights that it has.',
  },
  unauthorized: {
    fault: 'request',
    consequence: 'fail',
    meaning: 'The server asks for an API key, and the request has none, or one that is unknown or revoked.',
  },
  origin_refused: {
    fault: 'request',
    consequence: 'fail',
    meaning: 'A web page of another site made this request, or under a host name that is not the server’s.',
  },
  idempotency_mismatch: {
    fault: 'request',
    consequence: 'fail',
    meaning: 'Another request had the same `Idempotency-Key` and another body.',
  },
  deleted: {
    fault: 'request',
    consequence: 'fail',
    meaning: 'The job or its image was there and has been deleted.',
  },
  invalid_link: {
    fault: 'request',
    consequence: 'fail',
    meaning: 'The signature of a link to an image is wrong, or the link has expired.',
  },
  client_disconnected: {
    fault: 'request',
    consequence: 'fail',
    meaning: 'The client closed the connection before it had its answer.',
  },
  rate_limit_exceeded: {
    fault: 'request',
    consequence: 'retry',
    meaning: 'The API key has as many open jobs as it may have.',
  },
  too_many_pending: {
    fault: 'infrastructure',
    consequence: 'retry',
    meaning: 'As many jobs are pending as `--max-queue-length` allows.',
  },
  too_many_waiting: {
    fault: 'infrastructure',
    consequence: 'retry',
    meaning: 'As many requests wait for their jobs as `--max-waiting` allows.',
  },
  wait_timeout: {
    fault: 'infrastructure',
    consequence: 'retry',
    meaning: 'The job did not end while the request waited. It goes on.',
  },
  no_worker: {
    fault: 'infrastructure',
    consequence: 'retry',
    meaning: 'No worker that has the model is alive.',
  },
  shutting_down: {
    fault: 'infrastructure',
    consequence: 'retry',
    meaning: 'The server is shutting down. The job goes on.',
  },

  // bug
  internal: { fault: 'bug', consequence: 'fail', meaning: 'A bug of text2img.' },
} as const satisfies Record<string, ErrorCodeFacts>;

export type ErrorCode = keyof typeof ERROR_CODES;

/** The process exit code for a fault. */
export const EXIT_CODE_OF_FAULT = {
  usage: 2,
  request: 3,
  model: 4,
  infrastructure: 5,
  bug: 70,
} as const satisfies Record<ErrorFault, number>;
