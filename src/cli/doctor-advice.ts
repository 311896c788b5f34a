/**
 * The advice of `text2img doctor`: a table by what it looked at, by the error's code, and, where they differ, by the mode. The error's own sentence
 * stands above the advice, so this only says what to do next.
 */
import type { Mode } from '../config/mode.ts';
import type { ERROR_CODES, ErrorCode } from '../errors/error-codes.ts';

export type DoctorTopic = 'settings' | 'model' | 'vae' | 'queue' | 'prompts' | 'store';

type Advice = string | Readonly<Record<Mode['kind'], string>>;
type ModelCode = {
  [Code in ErrorCode]: (typeof ERROR_CODES)[Code]['fault'] extends 'model' ? Code : never;
}[ErrorCode];
type QueueCode = Extract<ErrorCode, `queue_${string}`>;
type StoreCode = Extract<ErrorCode, `store_${string}`>;

const OTHER_MODEL = 'name another model with --model';
const PULL_AGAIN =
  'check the files of the model; "text2img models pull" downloads again what is damaged in the cache of the hub';
const NEWER_OR_OTHER = `${OTHER_MODEL}, or convert this one with the tool that made it`;

/** Each code with fault `model`: a new one does not compile without its advice. */
const MODEL = {
  model_not_found: 'download it with "text2img models pull", or name another one with --model',
  model_gated: 'accept its terms on the hub and set HF_TOKEN, then run "text2img models pull"',
  invalid_model_index: PULL_AGAIN,
  invalid_config: PULL_AGAIN,
  invalid_safetensors: PULL_AGAIN,
  missing_tensor: PULL_AGAIN,
  wrong_tensor_shape: PULL_AGAIN,
  invalid_tokenizer: PULL_AGAIN,
  unsupported_class: OTHER_MODEL,
  unsupported_config: OTHER_MODEL,
  unsafe_weights: `${NEWER_OR_OTHER}: only safetensors files are read`,
  invalid_image: OTHER_MODEL,
} as const satisfies Record<ModelCode, Advice>;

const OTHER_VAE = 'name another autoencoder with --vae, or leave it out';
const VAE_AGAIN = `check the files of the autoencoder, or ${OTHER_VAE}`;

/** Each code with fault `model`, where the model without `--vae` is good. */
const VAE = {
  model_not_found: `let this machine reach the hub: "text2img run" and "text2img generate" download an autoencoder; or ${OTHER_VAE}`,
  model_gated: `accept its terms on the hub and set HF_TOKEN, or ${OTHER_VAE}`,
  invalid_model_index: VAE_AGAIN,
  invalid_config: VAE_AGAIN,
  invalid_safetensors: VAE_AGAIN,
  missing_tensor: VAE_AGAIN,
  wrong_tensor_shape: VAE_AGAIN,
  invalid_tokenizer: VAE_AGAIN,
  unsupported_class: OTHER_VAE,
  unsupported_config: OTHER_VAE,
  unsafe_weights: `${OTHER_VAE}: only safetensors files are read`,
  invalid_image: OTHER_VAE,
} as const satisfies Record<ModelCode, Advice>;

const QUEUE = {
  queue_failed: {
    embedded: 'check the disk and the permissions of --data-dir, or choose another --data-dir',
    production: 'start MongoDB, or correct --mongo-uri; this machine must reach its host and port',
  },
  queue_unauthorized: {
    embedded: 'let this user read and write --data-dir, or choose another --data-dir',
    production: 'correct the user and password in --mongo-uri, or give this user the role readWrite on the database',
  },
  queue_refused: {
    embedded: 'choose another --data-dir',
    production: 'change the validator of the collection so that it passes what a worker writes',
  },
  queue_damaged: {
    embedded: 'restore queue.sqlite from a backup, or choose another --data-dir',
    production: 'name another collection with --collection',
  },
} as const satisfies Record<QueueCode, Advice>;

const STORE = {
  store_unwritable: {
    embedded: 'let this user write --data-dir, or choose another --data-dir',
    production: 'check --gcs-bucket, GOOGLE_APPLICATION_CREDENTIALS and the role of this account on the bucket',
  },
  store_failed: {
    embedded: 'check the disk of --data-dir, or choose another --data-dir',
    production: 'check that this machine reaches Google Cloud Storage; HTTPS_PROXY names a proxy',
  },
  store_refused: {
    embedded: 'choose another --data-dir',
    production: 'look for a retention policy or a hold on the bucket, or set another --gcs-prefix',
  },
} as const satisfies Record<StoreCode, Advice>;

/** Of the model and of `--vae`. */
const HUB_CACHE = {
  store_unwritable: 'let this user write the folder, or name another one with HF_HOME',
  disk_full: 'free some space on this disk, or name another folder with HF_HOME',
} as const satisfies Partial<Record<ErrorCode, Advice>>;

/** Wherever they are met. */
const EVERYWHERE: Partial<Readonly<Record<ErrorCode, Advice>>> = {
  invalid_option: 'correct the option or variable that the sentence names',
  conflicting_options: 'change the options that the sentence names',
  disk_full: 'free some space on this disk, or choose another folder',
  internal: 'report this as a bug, with the output of "text2img doctor --json"',
};

const BY_TOPIC: Readonly<Record<DoctorTopic, Partial<Readonly<Record<ErrorCode, Advice>>>>> = {
  settings: {},
  model: {
    ...MODEL,
    ...HUB_CACHE,
    download_failed: 'check the network and HTTPS_PROXY, then run "text2img models pull"',
  },
  vae: { ...VAE, ...HUB_CACHE, download_failed: 'check the network and HTTPS_PROXY' },
  queue: { ...QUEUE, disk_full: 'free some space on the disk of --data-dir, or choose another --data-dir' },
  prompts: {
    ...QUEUE,
    disk_full: 'free some space on the disk of --data-dir, or choose another --data-dir',
    invalid_document: {
      embedded:
        'run "text2img jobs retry --force ID" for those in processing, and start a worker with --models for those of another model',
      production:
        'make large documents smaller, let the validator of the collection pass the others, and run "text2img jobs retry --force ID" for those in processing. For those of another model start a worker with --models',
    },
  },
  store: { ...STORE, disk_full: 'free some space on the disk of --data-dir, or choose another --data-dir' },
};

/**
 * @param kind undefined: the options contradict each other, so there is no mode
 * @returns undefined where the sentence of the error says it all
 */
export function adviceFor(topic: DoctorTopic, code: ErrorCode, kind: Mode['kind'] | undefined): string | undefined {
  const advice = BY_TOPIC[topic][code] ?? EVERYWHERE[code];
  if (advice === undefined || typeof advice === 'string') return advice;
  return kind === undefined ? undefined : advice[kind];
}
