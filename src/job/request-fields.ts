/**
 * Every field of a request, once. From this table follow: documents, the queues' projections, `job.parameters`, defaults, flags, the engine's
 * protocol, PNGs, batches and docs/requests.md. Names and defaults are those of diffusers' `StableDiffusionPipeline.__call__`.
 */
import { decimal, line, schedulerName, text, whole } from './field-types.ts';
import { field } from './request-field.ts';

/** diffusers refuses a side that 8 does not divide. */
export const SIDE_MULTIPLE_PX = 8;
/** The other side has at least 8 pixels. */
const longestSidePx = (maxPixels: number): number => maxPixels / SIDE_MULTIPLE_PX;
/** Longer than any URL that a receiver has (RFC 9110 asks for 8000; browsers and proxies stop far earlier). */
const MAX_URL_LENGTH = 2048;

export const REQUEST_FIELDS = {
  prompt: field<string>()({
    wire: 'text',
    help: 'Text that describes the image',
    type: ({ maxPromptBytes: maxBytes }) =>
      text({ maxBytes, noText: { code: 'invalid_prompt', allowed: 'a string is needed, which may be empty' } }),
    default: 'required',
    perJob: true,
    writtenBack: false,
    flag: { name: 'prompt', placeholder: '<text>', short: '-p', isNeverEmpty: true },
  }),
  negativePrompt: field<string>()({
    wire: 'negative_prompt',
    help: 'Text that describes things to avoid',
    type: ({ maxPromptBytes: maxBytes }) => text({ maxBytes }),
    default: '',
    flag: { placeholder: '<text>', aliases: ['--negative'] },
  }),
  seed: field<number>()({
    wire: 'seed',
    help: 'Random seed; image k uses seed + k',
    type: () => whole({ min: 0, max: Number.MAX_SAFE_INTEGER, absent: { value: -1, meaning: 'random' } }),
    default: ({ seed }) => seed,
    defaultText: 'random, printed and stored',
    perJob: true,
    flag: { placeholder: '<n>', short: '-s' },
    png: 'Seed',
  }),
  numInferenceSteps: field<number>()({
    wire: 'num_inference_steps',
    help: 'Denoising steps',
    type: ({ maxSteps }) => whole({ min: 1, max: maxSteps }),
    default: 50,
    defaultText: '50, or the model’s own',
    flag: { placeholder: '<n>', environment: 'NUM_INFERENCE_STEPS', aliases: ['--steps'] },
    png: 'Steps',
    batchKey: (steps) => steps,
  }),
  guidanceScale: field<number>()({
    wire: 'guidance_scale',
    help: 'How closely to follow the prompt; guidance is on above 1',
    type: () => decimal({ min: 0, max: 1000 }),
    default: 7.5,
    defaultText: '7.5, or the model’s own',
    flag: { placeholder: '<x>', aliases: ['--cfg-scale'] },
    png: 'CFG scale',
    // A pass with guidance has twice the inputs; the scale itself is each image's own.
    batchKey: (scale) => scale > 1,
  }),
  widthPx: field<number>()({
    wire: 'width',
    help: 'Width in pixels',
    type: ({ maxPixels }) =>
      whole({ min: SIDE_MULTIPLE_PX, max: longestSidePx(maxPixels), multipleOf: SIDE_MULTIPLE_PX }),
    default: ({ model }) => model.defaultWidthPx,
    defaultText: 'the model’s',
    flag: { placeholder: '<px>', short: '-W' },
    batchKey: (widthPx) => widthPx,
  }),
  heightPx: field<number>()({
    wire: 'height',
    help: 'Height in pixels',
    type: ({ maxPixels }) =>
      whole({ min: SIDE_MULTIPLE_PX, max: longestSidePx(maxPixels), multipleOf: SIDE_MULTIPLE_PX }),
    default: ({ model }) => model.defaultHeightPx,
    defaultText: 'the model’s',
    flag: { placeholder: '<px>', short: '-H' },
    batchKey: (heightPx) => heightPx,
  }),
  numImages: field<number>()({
    wire: 'num_images',
    help: 'Images per prompt',
    type: ({ maxImages }) => whole({ min: 1, max: maxImages }),
    default: 1,
    flag: { placeholder: '<n>', short: '-n' },
  }),
  scheduler: field<string>()({
    wire: 'scheduler',
    help: 'Scheduler, by its short name or its class name in diffusers',
    type: () => schedulerName,
    // A model that reads the field names its own. Nobody reads this one.
    default: '',
    defaultText: 'the model’s',
    flag: { placeholder: '<name>', aliases: ['--sampler'] },
    batchKey: (name) => name,
  }),
} as const;

/** Fields of a document that the model never sees. */
export const DOCUMENT_FIELDS = {
  priority: field<number>()({
    wire: 'priority',
    help: 'Jobs with a higher priority come first',
    type: () => decimal(),
    default: 0,
    perJob: true,
    flag: { placeholder: '<n>' },
  }),
  /** Not checked here: `webhook/url-guard.ts` does that. */
  callbackUrl: field<string>()({
    wire: 'callback_url',
    help: 'URL of the document’s own webhook receiver',
    type: () => line({ maxLength: MAX_URL_LENGTH }),
    default: null,
    defaultText: 'none',
    perJob: true,
  }),
} as const;

export type FieldName = keyof typeof REQUEST_FIELDS;
