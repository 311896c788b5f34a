/**
 * The prompt document: what a user writes into the queue, in the wire's names, and what it asks of the model. The one place where the two
 * are translated.
 */
import { resolveSchedulerName } from '../schedulers/scheduler-names.ts';
import { Text2ImgError } from '../errors/text2img-error.ts';
import { quote } from '../lib/foreign-text.ts';
import type { GenerationRequest, ResolvedGenerationRequest } from './generation-request.ts';
import type { PromptLimits } from './limits.ts';

/** The fields of a prompt document that the service reads. All others are the user's own and stay as they are. */
export const PROMPT_FIELDS = [
  'text',
  'negative_prompt',
  'seed',
  'num_inference_steps',
  'guidance_scale',
  'width',
  'height',
  'scheduler',
  'num_images',
  'priority',
  'callback_url',
] as const;

/** Only the fields that the service reads, where the document itself has them. */
export function promptFieldsOf(document: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const named = PROMPT_FIELDS.filter((name) => Object.hasOwn(document, name));
  return Object.fromEntries(named.map((name) => [name, document[name]]));
}

export interface ParsedPromptDocument {
  readonly request: GenerationRequest;
  /** Higher is drawn first. */
  readonly priority: number;
  /** Not checked yet: `webhook/url-guard.ts` does that. */
  readonly callbackUrl: string | undefined;
}

/** Longer than any URL that a receiver has (RFC 9110 asks for 8000; browsers and proxies stop far earlier). */
const MAX_URL_LENGTH = 2048;
/**
 * What completes a document is written into it, and MongoDB's documents have 16 MB: the text once more in the webhook, the negative prompt in
 * `job.parameters`, and for each image its URLs.
 */
const MAX_RECORD_BYTES = 12 * 1024 * 1024;
const BYTES_PER_IMAGE = 4096;
const SIZE_MULTIPLE_PX = 8;
const MAX_GUIDANCE_SCALE = 1000;

/**
 * Fields that are not ours are left alone; a field of ours that is null counts as absent.
 * @throws `invalid_prompt`, `prompt_too_large`, `invalid_parameter`, `unknown_scheduler`
 */
export function parsePromptDocument(
  document: Readonly<Record<string, unknown>>,
  limits: PromptLimits,
): ParsedPromptDocument {
  const fields = new FieldReader(document);
  const width = fields.sidePx('width');
  const height = fields.sidePx('height');
  const scheduler = fields.text('scheduler');
  const request: Record<keyof GenerationRequest, unknown> = {
    prompt: readPrompt(document['text'], limits),
    negativePrompt: readNegativePrompt(fields.text('negative_prompt'), limits),
    seed: fields.whole('seed', 0, Number.MAX_SAFE_INTEGER),
    numInferenceSteps: fields.whole('num_inference_steps', 1, limits.maxSteps),
    guidanceScale: fields.number('guidance_scale', 0, MAX_GUIDANCE_SCALE),
    widthPx: width,
    heightPx: height,
    numImages: fields.whole('num_images', 1, limits.maxImages),
    scheduler: scheduler === undefined ? undefined : resolveSchedulerName(scheduler),
  };
  if (width !== undefined && height !== undefined) checkPixels(width, height, limits);
  const stated = Object.entries(request).filter(([, value]) => value !== undefined);
  const priority = fields.number('priority', -Number.MAX_VALUE, Number.MAX_VALUE) ?? 0;
  const callbackUrl = fields.text('callback_url');
  if (callbackUrl !== undefined && callbackUrl.length > MAX_URL_LENGTH)
    throw new Text2ImgError(
      'invalid_parameter',
      `"callback_url" has ${callbackUrl.length} characters; allowed are at most ${MAX_URL_LENGTH}.`,
    );
  checkRecord(request);
  return { request: Object.fromEntries(stated) as unknown as GenerationRequest, priority, callbackUrl };
}

/** What was used, in the wire's names: becomes `job.parameters`. */
export function usedParameters(request: ResolvedGenerationRequest): Readonly<Record<string, string | number>> {
  return {
    negative_prompt: request.negativePrompt,
    seed: request.seed,
    num_inference_steps: request.numInferenceSteps,
    guidance_scale: request.guidanceScale,
    width: request.widthPx,
    height: request.heightPx,
    num_images: request.numImages,
    scheduler: request.scheduler,
  };
}

/** @throws `invalid_parameter` */
export function checkPixels(widthPx: number, heightPx: number, { maxPixels }: PromptLimits): void {
  if (widthPx * heightPx <= maxPixels) return;
  throw new Text2ImgError(
    'invalid_parameter',
    `"width" × "height" is ${widthPx} × ${heightPx} = ${widthPx * heightPx} pixels; allowed are at most ${maxPixels}.`,
  );
}

function readPrompt(text: unknown, limits: PromptLimits): string {
  if (typeof text !== 'string') {
    throw new Text2ImgError(
      'invalid_prompt',
      `"text" is ${quote(text, QUOTED_LENGTH)}; a string is needed, which may be empty.`,
    );
  }
  checkBytes('text', text, limits);
  return text;
}

function readNegativePrompt(text: string | undefined, limits: PromptLimits): string | undefined {
  if (text !== undefined) checkBytes('negative_prompt', text, limits);
  return text;
}

function checkBytes(name: string, text: string, { maxPromptBytes }: PromptLimits): void {
  const bytes = Buffer.byteLength(text);
  if (bytes <= maxPromptBytes) return;
  throw new Text2ImgError(
    'prompt_too_large',
    `"${name}" has ${bytes} bytes, beginning ${quote(text, QUOTED_LENGTH)}; allowed are at most ${maxPromptBytes}.`,
  );
}

/** Before anything is drawn: it must fit into its document when it is done. */
function checkRecord({ prompt, negativePrompt = '', numImages = 1 }: Readonly<Record<string, unknown>>): void {
  const textBytes = Buffer.byteLength(String(prompt)) + Buffer.byteLength(String(negativePrompt));
  const bytes = 2 * textBytes + Number(numImages) * BYTES_PER_IMAGE;
  if (bytes <= MAX_RECORD_BYTES) return;
  throw new Text2ImgError(
    'prompt_too_large',
    `"text" and "negative_prompt" have ${textBytes} bytes, which with "num_images" ${String(numImages)} is more than its document can take when it is done.`,
  );
}

class FieldReader {
  readonly #document: Readonly<Record<string, unknown>>;

  constructor(document: Readonly<Record<string, unknown>>) {
    this.#document = document;
  }

  #read(name: string): unknown {
    return Object.hasOwn(this.#document, name) ? (this.#document[name] ?? undefined) : undefined;
  }

  text(name: string): string | undefined {
    const value = this.#read(name);
    if (value === undefined || typeof value === 'string') return value;
    throw refuse(name, value, 'strings');
  }

  number(name: string, min: number, max: number): number | undefined {
    const value = this.#read(name);
    if (value === undefined) return undefined;
    if (typeof value === 'number' && Number.isFinite(value) && value >= min && value <= max) return value;
    throw refuse(name, value, max === Number.MAX_VALUE ? 'finite numbers' : `numbers from ${min} to ${max}`);
  }

  whole(name: string, min: number, max: number): number | undefined {
    const value = this.#read(name);
    if (value === undefined) return undefined;
    if (typeof value === 'number' && Number.isSafeInteger(value) && value >= min && value <= max) return value;
    throw refuse(name, value, `whole numbers from ${min} to ${max}`);
  }

  sidePx(name: string): number | undefined {
    const value = this.#read(name);
    if (value === undefined) return undefined;
    const isSide =
      typeof value === 'number' &&
      Number.isSafeInteger(value) &&
      value >= SIZE_MULTIPLE_PX &&
      value % SIZE_MULTIPLE_PX === 0;
    if (isSide) return value;
    throw refuse(name, value, `multiples of ${SIZE_MULTIPLE_PX} from ${SIZE_MULTIPLE_PX}`);
  }
}

/** Of a value in a sentence. */
const QUOTED_LENGTH = 80;

function refuse(name: string, value: unknown, allowed: string): Text2ImgError {
  return new Text2ImgError('invalid_parameter', `"${name}" is ${quote(value, QUOTED_LENGTH)}; allowed are ${allowed}.`);
}
