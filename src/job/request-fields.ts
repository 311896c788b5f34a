/**
 * Every field of a request, once. From this table follow: documents, the queues' projections, `job.parameters`, defaults, flags, the engine's
 * protocol, PNGs, batches and docs/requests.md. Names and defaults are those of diffusers' `StableDiffusionPipeline.__call__`.
 */
import { cornerPair, decimal, line, type Pair, sizePair, text, whole } from './field-types.ts';
import { descending, schedulerName, scheduleType } from './scheduler-field-types.ts';
import { field } from './request-field.ts';

/** diffusers refuses a side that 8 does not divide. */
export const SIDE_MULTIPLE_PX = 8;
/** The other side has at least 8 pixels. */
const longestSidePx = (maxPixels: number): number => maxPixels / SIDE_MULTIPLE_PX;
/** Tables of more timesteps are refused with the model. */
const LONGEST_TRAINING = 100_000;
/** The steps divide by them and take their logarithms, in float32. */
const SMALLEST_SIGMA = 0.0001;
const LARGEST_SIGMA = 100_000;
/** Longer than any URL that a receiver has (RFC 9110 asks for 8000; browsers and proxies stop far earlier). */
const MAX_URL_LENGTH = 2048;
/** More layers than any text encoder has; the model says how many it has. */
const MAX_CLIP_SKIP = 99;
/** More branches than any UNet has; the model says how many it has. */
const MAX_DEEP_CACHE_BRANCH = 99;

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
    // Some models of the XL family tell an empty text from none.
    default: null,
    defaultText: 'none',
    flag: { placeholder: '<text>', aliases: ['--negative'] },
  }),
  prompt2: field<string>()({
    wire: 'prompt_2',
    help: 'Prompt for the second text encoder of XL models',
    type: ({ maxPromptBytes: maxBytes }) => text({ maxBytes }),
    default: null,
    defaultText: 'the prompt',
    perJob: true,
    writtenBack: false,
    flag: { placeholder: '<text>', isRare: true },
    png: 'Prompt 2',
  }),
  negativePrompt2: field<string>()({
    wire: 'negative_prompt_2',
    help: 'Negative prompt for the second text encoder of XL models',
    type: ({ maxPromptBytes: maxBytes }) => text({ maxBytes }),
    default: null,
    defaultText: 'the negative prompt',
    flag: { placeholder: '<text>', isRare: true },
    png: 'Negative prompt 2',
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
  guidanceRescale: field<number>()({
    wire: 'guidance_rescale',
    help: 'How far guidance keeps the contrast of the unguided prediction (arXiv 2305.08891)',
    type: () => decimal({ min: 0, max: 1 }),
    default: null,
    defaultText: '0',
    flag: { placeholder: '<x>', isRare: true },
    png: 'CFG rescale',
  }),
  guidanceStop: field<number>()({
    wire: 'guidance_stop',
    help: 'Share of the steps after which guidance ends; a step without guidance takes about half the time',
    type: () => decimal({ min: 0, max: 1 }),
    default: null,
    defaultText: '1',
    flag: { placeholder: '<x>', isRare: true },
    png: 'Guidance stop',
    // No batch key: a pass may hold images with and without guidance.
  }),
  clipSkip: field<number>()({
    wire: 'clip_skip',
    help: 'Layers to leave out at the end of the text encoder; web UIs count one more',
    type: () => whole({ min: 0, max: MAX_CLIP_SKIP }),
    default: null,
    defaultText: '0',
    flag: { placeholder: '<n>', isRare: true },
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
  originalSize: field<Pair>()({
    wire: 'original_size',
    help: 'XL models: size of the imagined original',
    type: () => sizePair,
    default: null,
    defaultText: 'the image’s size',
    flag: { placeholder: '<WxH>', isRare: true },
    png: 'Original size',
  }),
  cropsCoordsTopLeft: field<Pair>()({
    wire: 'crops_coords_top_left',
    help: 'XL models: corner of the image in the imagined original',
    type: () => cornerPair,
    default: null,
    defaultText: '0,0',
    flag: { name: 'crop', placeholder: '<T,L>', aliases: ['--crops-coords-top-left'], isRare: true },
    png: 'Crop top left',
  }),
  targetSize: field<Pair>()({
    wire: 'target_size',
    help: 'XL models: size that the image is described with',
    type: () => sizePair,
    default: null,
    defaultText: 'the image’s size',
    flag: { placeholder: '<WxH>', isRare: true },
    png: 'Target size',
  }),
  negativeOriginalSize: field<Pair>()({
    wire: 'negative_original_size',
    help: 'XL models: original size to avoid; works with negative_target_size only',
    type: () => sizePair,
    default: null,
    defaultText: 'original_size',
    flag: { placeholder: '<WxH>', isRare: true },
    png: 'Negative original size',
  }),
  negativeCropsCoordsTopLeft: field<Pair>()({
    wire: 'negative_crops_coords_top_left',
    help: 'XL models: corner to avoid; works with both negative sizes only',
    type: () => cornerPair,
    default: null,
    defaultText: '0,0',
    flag: { name: 'negativeCrop', placeholder: '<T,L>', aliases: ['--negative-crops-coords-top-left'], isRare: true },
    png: 'Negative crop top left',
  }),
  negativeTargetSize: field<Pair>()({
    wire: 'negative_target_size',
    help: 'XL models: target size to avoid; works with negative_original_size only',
    type: () => sizePair,
    default: null,
    defaultText: 'target_size',
    flag: { placeholder: '<WxH>', isRare: true },
    png: 'Negative target size',
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
  scheduleType: field<string>()({
    wire: 'schedule_type',
    help: 'How the scheduler spaces its steps',
    type: () => scheduleType,
    default: null,
    defaultText: 'the scheduler’s name decides, else the model',
    flag: { placeholder: '<name>' },
    batchKey: (type) => type,
  }),
  eta: field<number>()({
    wire: 'eta',
    help: 'How much fresh noise each step adds; for DDIM and TCD',
    type: () => decimal({ min: 0, max: 1 }),
    // Nothing is written back for the many schedulers that do not take it.
    default: null,
    defaultText: '0',
    flag: { placeholder: '<x>', isRare: true },
    png: 'Eta',
  }),
  timesteps: field<readonly number[]>()({
    wire: 'timesteps',
    help: 'Timesteps in place of a number of steps',
    type: ({ maxSteps }) =>
      descending({
        item: whole({ min: 0, max: LONGEST_TRAINING - 1 }),
        items: 'whole numbers below the model’s trained timesteps (mostly 1000)',
        maxCount: maxSteps,
        example: '999,749,499,249',
      }),
    default: null,
    defaultText: 'none',
    flag: { placeholder: '<n,…>', isRare: true },
    png: 'Timesteps',
    batchKey: (timesteps) => timesteps.join(),
  }),
  sigmas: field<readonly number[]>()({
    wire: 'sigmas',
    help: 'Noise levels in place of a number of steps, without the final 0',
    type: ({ maxSteps }) =>
      descending({
        item: decimal({ min: SMALLEST_SIGMA, max: LARGEST_SIGMA }),
        items: `numbers from ${SMALLEST_SIGMA} to ${LARGEST_SIGMA} without the final 0`,
        maxCount: maxSteps,
        example: '14.6,2.5,0.7',
      }),
    default: null,
    defaultText: 'none',
    flag: { placeholder: '<x,…>', isRare: true },
    png: 'Sigmas',
    batchKey: (sigmas) => sigmas.join(),
  }),
  // Source: arXiv 2312.00858; diffusers has no argument for it.
  deepCache: field<number>()({
    wire: 'deep_cache',
    help: 'Reuse deep features: run the whole network in every n-th pass only',
    type: ({ maxSteps }) => whole({ min: 2, max: maxSteps, also: { value: 0, meaning: 'off' } }),
    default: null,
    defaultText: 'off',
    flag: { placeholder: '<n>', isRare: true, isSetting: true },
    png: 'Deep cache',
    // The images of a pass run the same graph.
    batchKey: (interval) => interval,
  }),
  deepCacheBranch: field<number>()({
    wire: 'deep_cache_branch',
    help: 'How deep the other passes of deep_cache go',
    type: () => whole({ min: 0, max: MAX_DEEP_CACHE_BRANCH }),
    default: null,
    defaultText: '0',
    flag: { placeholder: '<n>', isRare: true, isSetting: true },
    png: 'Deep cache branch',
    batchKey: (branch) => branch,
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
