/**
 * Every option, once: its values, its default, what it means, and which commands take it. The flag is the name in kebab case, the
 * environment variable `TEXT2IMG_<NAME>`, save for the names that users have had in their scripts for long (`environment`).
 */
import { z } from 'zod';
import { SCHEDULER_NAMES } from '../diffusion/schedulers/scheduler-names.ts';
import { DEFAULT_OBJECT_PREFIX } from '../storage/object-key.ts';
import {
  decimalNumber,
  eventList,
  hostList,
  oneOf,
  onOrOff,
  schedulerName,
  sidePx,
  text,
  wholeNumber,
} from './value-schemas.ts';

export const COMMANDS = ['run', 'generate', 'enqueue', 'jobs', 'webhooks', 'doctor', 'setup'] as const;
export type CommandName = (typeof COMMANDS)[number];

export interface OptionSpec {
  /** What stands after the flag in the help, as `<steps>`; a switch has none. */
  readonly placeholder?: string;
  readonly schema: z.ZodType;
  /** As the user would write it; without one the option may be absent. */
  readonly default?: string;
  /** One line. */
  readonly doc: string;
  /** Completes "… is not allowed; it must be". */
  readonly allowed: string;
  readonly commands: readonly CommandName[];
  /** The environment variable, where it is not `TEXT2IMG_<NAME>`. */
  readonly environment?: string;
  /** A second flag for the same thing. */
  readonly alias?: string;
  /** Describes the picture: the code of a bad value when the command is about one picture, whose fault it then is. */
  readonly requestFault?: 'invalid_parameter' | 'unknown_scheduler';
  /** May also come from the file that `<VARIABLE>_FILE` names; never quoted in an error. */
  readonly secret?: true;
}

const QUEUE_COMMANDS = ['run', 'enqueue', 'jobs', 'webhooks', 'doctor'] as const;
const WEBHOOK_COMMANDS = ['run', 'webhooks'] as const;
const DRAWING = ['run', 'generate'] as const;
const PICTURE = ['run', 'generate', 'enqueue'] as const;

/** Keeps each option's own schema type. */
function option<const Spec extends OptionSpec>(spec: Spec): Spec {
  return spec;
}

export const OPTIONS = {
  // where prompts and pictures are
  mongoUri: option({
    placeholder: '<uri>',
    schema: text,
    doc: 'MongoDB that holds the prompts; needs --gcs-bucket.',
    allowed: 'a mongodb:// or mongodb+srv:// URI',
    commands: QUEUE_COMMANDS,
    environment: 'MONGO_URI',
    secret: true,
  }),
  gcsBucket: option({
    placeholder: '<name>',
    schema: text,
    doc: 'Google Cloud Storage bucket for the pictures; needs --mongo-uri.',
    allowed: 'a bucket name',
    commands: QUEUE_COMMANDS,
    environment: 'GCS_BUCKET',
  }),
  callbackUrl: option({
    placeholder: '<url>',
    schema: z.url({ protocol: /^https?$/ }),
    doc: 'Webhook that hears of every finished prompt.',
    allowed: 'an http:// or https:// URL',
    commands: WEBHOOK_COMMANDS,
    environment: 'CALLBACK_URL',
  }),
  callbackEvents: option({
    placeholder: '<events>',
    schema: eventList,
    default: 'completed',
    doc: 'What the webhook hears of: completed, error, or both with a comma.',
    allowed: 'completed, error or completed,error',
    commands: ['run'],
  }),
  callbackAllowHosts: option({
    placeholder: '<hosts>',
    schema: hostList,
    default: '',
    doc: 'Hosts that a document’s callback_url may name although they are private or not https (host or host:port, with commas).',
    allowed: 'host names, with or without a port, separated by commas',
    commands: WEBHOOK_COMMANDS,
  }),
  webhookSecret: option({
    placeholder: '<secret>',
    schema: text,
    doc: 'Signs webhooks (Standard Webhooks): whsec_…; several with commas while they are rotated.',
    allowed: 'whsec_ and the base64 of 24 to 64 random bytes',
    commands: WEBHOOK_COMMANDS,
    secret: true,
  }),
  gcsPrefix: option({
    placeholder: '<prefix>',
    schema: z.string().regex(/^(?!\/)[\w./-]{0,200}$/),
    default: DEFAULT_OBJECT_PREFIX,
    doc: 'What the pictures’ names begin with, in the bucket or the data folder.',
    allowed: 'letters, digits, and . _ - / up to 200 characters, not beginning with /',
    commands: ['run'],
  }),
  publicUrlBase: option({
    placeholder: '<url>',
    schema: z.url({ protocol: /^https?$/ }),
    doc: 'Where the bucket is seen from outside: webhooks then name pictures by this URL and their name.',
    allowed: 'an http:// or https:// URL',
    commands: ['run'],
  }),
  signedUrls: option({
    schema: onOrOff,
    default: 'off',
    doc: 'Webhooks name pictures by links that work for 7 days without an account; needs a key file.',
    allowed: 'on or off',
    commands: ['run'],
  }),
  collection: option({
    placeholder: '<name>',
    schema: z.string().regex(/^[^$\0]{1,120}$/),
    default: 'prompts',
    doc: 'MongoDB collection of the prompts.',
    allowed: 'a collection name',
    commands: QUEUE_COMMANDS,
  }),
  dataDir: option({
    placeholder: '<folder>',
    schema: text,
    default: './text2img-data',
    doc: 'Folder of the embedded queue and its pictures.',
    allowed: 'a folder',
    commands: QUEUE_COMMANDS,
  }),

  // the model and the machine
  model: option({
    placeholder: '<folder>',
    schema: text,
    doc: 'Stable Diffusion checkpoint folder in the diffusers layout (default: the demo checkpoint that comes along).',
    allowed: 'a folder',
    commands: ['run', 'generate', 'doctor'],
    environment: 'MODEL_ID',
    alias: '--model-id',
  }),
  device: option({
    placeholder: '<device>',
    schema: z.string().regex(/^(?:auto|cpu|webgpu|cuda(?::\d+)?)$/),
    default: 'auto',
    doc: 'Where the networks run.',
    allowed: 'auto, cpu, cuda, cuda:N or webgpu',
    commands: ['run', 'generate', 'doctor'],
  }),
  dtype: option({
    placeholder: '<type>',
    schema: oneOf(['auto', 'float32', 'float16']),
    default: 'auto',
    doc: 'Precision of weights and arithmetic (auto: float32 on a CPU, float16 on a GPU).',
    allowed: 'auto, float32 or float16',
    commands: DRAWING,
  }),
  threads: option({
    placeholder: '<n>',
    schema: wholeNumber({ min: 0, max: 1024 }),
    default: '0',
    doc: 'CPU threads; 0 takes as many as there are.',
    allowed: 'a whole number from 0 to 1024',
    commands: DRAWING,
  }),
  vaeTiling: option({
    schema: onOrOff,
    default: 'off',
    doc: 'Decode large pictures in tiles: less memory.',
    allowed: 'on or off',
    commands: DRAWING,
  }),
  compileCache: option({
    placeholder: '<folder|off>',
    schema: text,
    doc: 'Folder of compiled networks (default: text2img in the user’s cache folder).',
    allowed: 'a folder or off',
    commands: DRAWING,
  }),

  // the picture
  prompt: option({
    placeholder: '<text>',
    schema: text,
    doc: 'What to draw.',
    allowed: 'a text',
    commands: ['generate', 'enqueue'],
    requestFault: 'invalid_parameter',
  }),
  negativePrompt: option({
    placeholder: '<text>',
    schema: text,
    doc: 'What to keep out of the picture.',
    allowed: 'a text',
    commands: PICTURE,
    requestFault: 'invalid_parameter',
  }),
  seed: option({
    placeholder: '<n>',
    schema: wholeNumber({ min: 0 }),
    doc: 'Seed of the noise; picture k of several has seed + k. Without one it is random and reported.',
    allowed: 'a whole number from 0 to 9007199254740991',
    commands: ['generate', 'enqueue'],
    requestFault: 'invalid_parameter',
  }),
  numInferenceSteps: option({
    placeholder: '<n>',
    schema: wholeNumber({ min: 1 }),
    doc: 'Denoising steps (default: 50).',
    allowed: 'a whole number, at least 1',
    commands: PICTURE,
    environment: 'NUM_INFERENCE_STEPS',
    requestFault: 'invalid_parameter',
  }),
  guidanceScale: option({
    placeholder: '<x>',
    schema: decimalNumber({ min: 0, max: 1000 }),
    doc: 'How closely to follow the prompt; guidance is on above 1 (default: the model’s, 7.5).',
    allowed: 'a number from 0 to 1000',
    commands: PICTURE,
    requestFault: 'invalid_parameter',
  }),
  width: option({
    placeholder: '<px>',
    schema: sidePx,
    doc: 'Width in pixels (default: the model’s).',
    allowed: 'a whole number, at least 8 and divisible by 8',
    commands: PICTURE,
    requestFault: 'invalid_parameter',
  }),
  height: option({
    placeholder: '<px>',
    schema: sidePx,
    doc: 'Height in pixels (default: the model’s).',
    allowed: 'a whole number, at least 8 and divisible by 8',
    commands: PICTURE,
    requestFault: 'invalid_parameter',
  }),
  numImages: option({
    placeholder: '<n>',
    schema: wholeNumber({ min: 1 }),
    doc: 'Pictures per prompt (default: 1).',
    allowed: 'a whole number, at least 1',
    commands: PICTURE,
    requestFault: 'invalid_parameter',
  }),
  scheduler: option({
    placeholder: '<name>',
    schema: schedulerName,
    doc: 'ddim, pndm, euler, euler_a, dpmpp_2m, dpmpp_2m_karras, or a diffusers class name (default: the model’s).',
    allowed: `one of ${SCHEDULER_NAMES.join(', ')}`,
    commands: PICTURE,
    requestFault: 'unknown_scheduler',
  }),
  priority: option({
    placeholder: '<n>',
    schema: decimalNumber({ min: -Number.MAX_VALUE }),
    doc: 'Higher ones are drawn first (default: 0).',
    allowed: 'a number',
    commands: ['enqueue'],
    requestFault: 'invalid_parameter',
  }),
  output: option({
    placeholder: '<file>',
    schema: text,
    doc: 'PNG to write; several go to x-1.png, x-2.png, … (default: ./text2img-<seed>.png).',
    allowed: 'a file',
    commands: ['generate'],
  }),
  from: option({
    placeholder: '<file>',
    schema: text,
    doc: 'Draw again what a PNG’s parameters say; other flags change them.',
    allowed: 'a PNG file',
    commands: ['generate'],
  }),

  // limits on what is accepted
  maxSteps: option({
    placeholder: '<n>',
    schema: wholeNumber({ min: 1 }),
    default: '1000',
    doc: 'Most denoising steps of one prompt.',
    allowed: 'a whole number, at least 1',
    commands: PICTURE,
  }),
  maxPixels: option({
    placeholder: '<n>',
    schema: wholeNumber({ min: 64 }),
    default: '4194304',
    doc: 'Most pixels of one picture (width × height).',
    allowed: 'a whole number, at least 64',
    commands: PICTURE,
  }),
  maxImages: option({
    placeholder: '<n>',
    schema: wholeNumber({ min: 1 }),
    default: '16',
    doc: 'Most pictures of one prompt.',
    allowed: 'a whole number, at least 1',
    commands: PICTURE,
  }),
  maxPromptBytes: option({
    placeholder: '<n>',
    schema: wholeNumber({ min: 0 }),
    default: '65536',
    doc: 'Most UTF-8 bytes of a prompt, and of a negative prompt.',
    allowed: 'a whole number',
    commands: PICTURE,
  }),

  // the worker
  watch: option({
    schema: onOrOff,
    default: 'off',
    doc: 'Keep waiting for prompts until SIGTERM, instead of ending when the queue is drained.',
    allowed: 'on or off',
    commands: ['run'],
  }),
  batchSize: option({
    placeholder: '<n>',
    schema: wholeNumber({ min: 1, max: 1024 }),
    default: '10',
    doc: 'Most prompts drawn together, where the engine can.',
    allowed: 'a whole number from 1 to 1024',
    commands: ['run'],
    environment: 'BATCH_SIZE',
  }),
  leaseSeconds: option({
    placeholder: '<s>',
    schema: decimalNumber({ min: 0.5, max: 86_400 }),
    default: '60',
    doc: 'How long a claim holds without a heartbeat.',
    allowed: 'a number of seconds from 0.5 to 86400',
    commands: ['run'],
  }),
  maxAttempts: option({
    placeholder: '<n>',
    schema: wholeNumber({ min: 1, max: 1000 }),
    default: '5',
    doc: 'Attempts at a prompt before it ends in error.',
    allowed: 'a whole number from 1 to 1000',
    commands: ['run'],
  }),
  gracePeriod: option({
    placeholder: '<s>',
    schema: decimalNumber({ min: 0, max: 86_400 }),
    default: '25',
    doc: 'After SIGTERM, how long to go on with what can be finished.',
    allowed: 'a number of seconds from 0 to 86400',
    commands: ['run'],
  }),
  failOnError: option({
    schema: onOrOff,
    default: 'off',
    doc: 'Exit with 3 when a prompt ended in error.',
    allowed: 'on or off',
    commands: ['run'],
  }),

  // jobs list
  status: option({
    placeholder: '<status>',
    schema: oneOf(['pending', 'processing', 'completed', 'error']),
    doc: 'Only jobs in this state.',
    allowed: 'pending, processing, completed or error',
    commands: ['jobs'],
  }),
  limit: option({
    placeholder: '<n>',
    schema: wholeNumber({ min: 1, max: 1_000_000 }),
    default: '50',
    doc: 'Most jobs or webhooks to list.',
    allowed: 'a whole number from 1 to 1000000',
    commands: ['jobs', 'webhooks'],
  }),

  state: option({
    placeholder: '<state>',
    schema: oneOf(['pending', 'delivered', 'dead']),
    doc: 'Only webhooks in this state.',
    allowed: 'pending, delivered or dead',
    commands: ['webhooks'],
  }),

  // what is said
  json: option({
    schema: onOrOff,
    default: 'off',
    doc: 'Results as JSON on standard output.',
    allowed: 'on or off',
    commands: COMMANDS,
  }),
  logFile: option({
    placeholder: '<file>',
    schema: text,
    doc: 'Append the log as JSON lines to this file.',
    allowed: 'a file',
    commands: COMMANDS,
    environment: 'LOG_FILE',
  }),
  logLevel: option({
    placeholder: '<level>',
    schema: z
      .string()
      .transform((level) => level.trim().toUpperCase())
      .pipe(oneOf(['DEBUG', 'INFO', 'WARNING', 'ERROR', 'CRITICAL'])),
    default: 'INFO',
    doc: 'DEBUG, INFO, WARNING, ERROR or CRITICAL.',
    allowed: 'DEBUG, INFO, WARNING, ERROR or CRITICAL',
    commands: COMMANDS,
    environment: 'LOG_LEVEL',
  }),
} as const satisfies Record<string, OptionSpec>;

export type OptionName = keyof typeof OPTIONS;
export const OPTION_NAMES = Object.keys(OPTIONS) as readonly OptionName[];

type ValueOf<Spec extends OptionSpec> =
  | z.output<Spec['schema']>
  | (Spec extends { default: string } ? never : undefined);
/** All options; those that a command does not take have their defaults. */
export type Config = { readonly [Name in OptionName]: ValueOf<(typeof OPTIONS)[Name]> };

/** `numImages` → `--num-images`. */
export function flagOf(name: OptionName): string {
  return `--${name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

/** `numImages` → `TEXT2IMG_NUM_IMAGES`, save for the names of the contract. */
export function environmentNameOf(name: OptionName): string {
  const spec: OptionSpec = OPTIONS[name];
  return spec.environment ?? `TEXT2IMG_${name.replaceAll(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`;
}

export function optionsOf(command: CommandName): readonly OptionName[] {
  return OPTION_NAMES.filter((name) => (OPTIONS[name] as OptionSpec).commands.includes(command));
}
