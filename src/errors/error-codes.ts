/**
 * Every error code there is: whose fault it is, whether a retry can help, and what it means.
 * `docs/errors.md` lists the same codes; a test compares the two.
 */

/** `usage` exits with 2, `request` with 3, `model` with 4, `infrastructure` with 5, `bug` with 70. */
export type ErrorFault = 'usage' | 'request' | 'model' | 'infrastructure' | 'bug';

interface ErrorCodeFacts {
  readonly fault: ErrorFault;
  readonly retryable: boolean;
  readonly meaning: string;
}

export const ERROR_CODES = {
  // usage: how the program was called
  invalid_option: {
    fault: 'usage',
    retryable: false,
    meaning: 'A flag or environment variable has a value that is not allowed.',
  },
  unknown_option: { fault: 'usage', retryable: false, meaning: 'A flag or command that does not exist.' },
  conflicting_options: {
    fault: 'usage',
    retryable: false,
    meaning: 'Options that cannot be used together, or one that needs another.',
  },
  not_found: {
    fault: 'usage',
    retryable: false,
    meaning: 'The job, file or folder named on the command line does not exist.',
  },
  unreadable_file: {
    fault: 'usage',
    retryable: false,
    meaning: 'A file named on the command line exists but cannot be read as what it should be.',
  },
  wrong_job_state: { fault: 'usage', retryable: false, meaning: 'The job is in a state in which this cannot be done.' },

  // request: the prompt document or the generation options
  invalid_prompt: { fault: 'request', retryable: false, meaning: '`text` is missing or not a string.' },
  prompt_too_large: { fault: 'request', retryable: false, meaning: '`text` has more bytes than the limit.' },
  invalid_parameter: {
    fault: 'request',
    retryable: false,
    meaning: 'A generation parameter is outside its range or of the wrong type.',
  },
  invalid_document: {
    fault: 'request',
    retryable: false,
    meaning: 'A document cannot be enqueued or processed as it is.',
  },
  unknown_scheduler: {
    fault: 'request',
    retryable: false,
    meaning: 'The scheduler is none of those that are implemented.',
  },
  cancelled: { fault: 'request', retryable: false, meaning: 'The job was cancelled by an operator.' },

  // model: the checkpoint
  model_not_found: {
    fault: 'model',
    retryable: false,
    meaning: 'The checkpoint folder, or a file that it must have, does not exist.',
  },
  model_gated: {
    fault: 'model',
    retryable: false,
    meaning: 'The hub gives the model only to accounts that accepted its terms.',
  },
  invalid_model_index: {
    fault: 'model',
    retryable: false,
    meaning: '`model_index.json` is missing, not JSON, or names no pipeline.',
  },
  invalid_config: {
    fault: 'model',
    retryable: false,
    meaning: 'A component’s configuration is not JSON or has a value of the wrong type.',
  },
  unsupported_class: {
    fault: 'model',
    retryable: false,
    meaning: 'The checkpoint names a pipeline, network or scheduler class that is not implemented.',
  },
  unsupported_config: {
    fault: 'model',
    retryable: false,
    meaning: 'A configuration key has a value that is not implemented.',
  },
  unsafe_weights: {
    fault: 'model',
    retryable: false,
    meaning: 'The weights exist only as a pickle, which can run code when it is read.',
  },
  invalid_safetensors: {
    fault: 'model',
    retryable: false,
    meaning: 'A safetensors file is truncated or its header contradicts the file.',
  },
  missing_tensor: {
    fault: 'model',
    retryable: false,
    meaning: 'A tensor that the configuration asks for is not in the weights.',
  },
  wrong_tensor_shape: {
    fault: 'model',
    retryable: false,
    meaning: 'A tensor has another shape or type than the configuration asks for.',
  },
  invalid_tokenizer: {
    fault: 'model',
    retryable: false,
    meaning: 'The tokenizer files are missing or contradict each other.',
  },

  // infrastructure: the machine, the engine process, queue and store
  device_unavailable: {
    fault: 'infrastructure',
    retryable: false,
    meaning: 'The device asked for cannot be used on this machine.',
  },
  engine_crashed: {
    fault: 'infrastructure',
    retryable: true,
    meaning: 'The engine process ended while it was working.',
  },
  engine_out_of_memory: {
    fault: 'infrastructure',
    retryable: true,
    meaning: 'The engine process ran out of memory or was killed for it.',
  },
  engine_stalled: {
    fault: 'infrastructure',
    retryable: true,
    meaning: 'The engine made no progress for too long and was ended.',
  },
  engine_unavailable: { fault: 'infrastructure', retryable: true, meaning: 'The engine could not be started.' },
  inference_failed: {
    fault: 'infrastructure',
    retryable: true,
    meaning: 'ONNX Runtime failed while it ran a network.',
  },
  store_unwritable: {
    fault: 'infrastructure',
    retryable: false,
    meaning: 'The image store or output folder cannot be written.',
  },
  disk_full: {
    fault: 'infrastructure',
    retryable: true,
    meaning: 'No space is left where the image or the queue is written.',
  },
  store_failed: { fault: 'infrastructure', retryable: true, meaning: 'The image store failed for another reason.' },
  foreign_object: {
    fault: 'infrastructure',
    retryable: false,
    meaning: 'An object of another document lies where the image should go; it is never overwritten.',
  },
  queue_failed: { fault: 'infrastructure', retryable: true, meaning: 'The queue could not be read or written.' },
  queue_unauthorized: {
    fault: 'infrastructure',
    retryable: false,
    meaning: 'The database does not let this user in, or do what a worker must.',
  },
  attempts_exhausted: {
    fault: 'infrastructure',
    retryable: false,
    meaning: 'Every attempt at the prompt ended without a verdict.',
  },
  worker_unhealthy: {
    fault: 'infrastructure',
    retryable: true,
    meaning: 'The heartbeat file of a worker is missing or too old.',
  },
  download_failed: {
    fault: 'infrastructure',
    retryable: true,
    meaning: 'A file could not be downloaded, or its checksum is wrong.',
  },

  webhook_refused: {
    fault: 'infrastructure',
    retryable: false,
    meaning: 'A callback URL out of a document leads to an address that is not public.',
  },

  // bug
  internal: { fault: 'bug', retryable: false, meaning: 'A bug of text2img.' },
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
