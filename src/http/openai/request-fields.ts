/**
 * The request fields of a body, under the names that clients use: they become the prompt document that the queue keeps. The table of fields checks the
 * values later. Used by each API whose bodies are flat JSON.
 */
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { NO_LIMITS } from '../../job/limits.ts';
import { REQUEST_FIELDS } from '../../job/request-fields.ts';
import { quote } from '../../lib/foreign-text.ts';
import { takeExtraArguments } from './extra-arguments.ts';
import { rankOf, requestFieldOf } from './field-names.ts';
import { readSize, roundedSide } from './image-size.ts';
import { refusedValue, statedValue } from './stated-value.ts';

type Json = Readonly<Record<string, unknown>>;

export interface ReadFields {
  /** By their names in documents. */
  readonly document: Json;
  /** From a field's name in documents to its name in the body. */
  readonly names: ReadonlyMap<string, string>;
  /** Names in the body that have no effect. */
  readonly ignored: readonly string[];
  readonly warnings: readonly string[];
}

export interface ReadFieldsOptions {
  /** Names that the caller reads itself. */
  readonly others: ReadonlySet<string>;
}

const {
  prompt: PROMPT,
  widthPx: WIDTH,
  heightPx: HEIGHT,
  numImages: COUNT,
  scheduler: SCHEDULER,
  seed: SEED,
} = REQUEST_FIELDS;

/** Of the body of an image to begin with. Without it the image would be another one than the client wants. */
const IMAGE_INPUTS: readonly string[] = [
  'image',
  'images',
  'mask',
  'mask_image',
  'init_image',
  'init_images',
  'control_image',
  'extra_images',
  'ref_images',
  'file',
  'files',
];
/** Where the client keeps its own secrets. They are dropped before anything is stored, answered or logged. */
const DROPPED: ReadonlySet<string> = new Set(['url', 'auth', 'key', 'api_key', 'authorization', 'password', 'token']);

/** They would change the image, and cannot yet. */
const UNSUPPORTED: Readonly<Record<string, string>> = {
  strength: 'a request begins with no image',
  denoising_strength: 'a request begins with no image',
  lora: 'LoRA files cannot be added in a request',
  loras: 'LoRA files cannot be added in a request',
  enable_hr: 'a second pass at a higher resolution is not implemented',
  hires: 'a second pass at a higher resolution is not implemented',
};

/** @throws `invalid_prompt`, `invalid_parameter`, `not_implemented` */
export function readRequestFields(body: Json, { others }: ReadFieldsOptions): ReadFields {
  refuseImages(body);
  const { fields, prompt, ignored: ignoredArguments } = withPrompt(body);
  const size = readSize(body['size']);
  const chosen = new Map<string, { readonly name: string; readonly value: unknown }>();
  const ignored: string[] = [];
  const warnings: string[] = [];
  const take = (wire: string, name: string, value: unknown): void => {
    const first = chosen.get(wire);
    if (first === undefined) chosen.set(wire, { name, value });
    else if (first.value !== value)
      warnings.push(`${quote(name)} has no effect, because ${quote(first.name)} is given.`);
  };
  if (prompt !== undefined) take(PROMPT.wire, prompt.name, prompt.text);
  for (const [name, stated] of inOrder(fields, body)) {
    if (others.has(name) || name === 'size' || name === prompt?.name || DROPPED.has(name)) continue;
    if (stated === null || stated === undefined) continue;
    const wire = requestFieldOf(name);
    const value = wire === undefined ? undefined : statedValue(wire, stated);
    if (wire === undefined) {
      ignored.push(name);
      const reason = Object.hasOwn(UNSUPPORTED, name) && isMeant(stated) ? UNSUPPORTED[name] : undefined;
      if (reason !== undefined) warnings.push(`${quote(name)} has no effect, because ${reason}.`);
    } else if (value !== undefined) take(wire, name, value);
  }
  warnings.push(...size.warnings);
  if (size.width !== undefined) take(WIDTH.wire, 'size', size.width);
  if (size.height !== undefined) take(HEIGHT.wire, 'size', size.height);
  roundSides(chosen, warnings);
  joinSeeds(chosen);
  const document = Object.fromEntries([...chosen].map(([wire, { value }]) => [wire, value]));
  const names = new Map([...chosen].map(([wire, { name }]) => [wire, name]));
  return { document, names, ignored: [...ignored, ...ignoredArguments], warnings };
}

/** An error about a field of the document, in the body's own names: `n` for `num_images`, `size` for `width`. */
export function inNamesOfBody(error: Text2ImgError, names: ReadonlyMap<string, string>, size: unknown): Text2ImgError {
  const { code, message } = error;
  const begun = /^"(\w{1,60})"/.exec(message)?.[1];
  // Sentences about names of schedulers begin otherwise.
  const wire = begun ?? (code === 'unknown_scheduler' ? SCHEDULER.wire : '');
  const name = names.get(wire);
  if (name === undefined || name === begun) return error;
  if (name === 'size') return new Text2ImgError(code, `"size" is ${quote(size)}: ${message}`, { cause: error });
  const sentence = begun === undefined ? `"${name}": ${message}` : `"${name}"${message.slice(begun.length + 2)}`;
  return new Text2ImgError(code, sentence, { cause: error });
}

/** The tag's fields before the body's; of the body this API's own names first. */
function inOrder(fields: Json, body: Json): readonly (readonly [string, unknown])[] {
  const ranked = Object.entries(body).map((entry) => [rankOf(entry[0]), entry] as const);
  return [...Object.entries(fields), ...ranked.toSorted(([one], [other]) => one - other).map(([, entry]) => entry)];
}

/** LocalAI's clients may send a list. */
function withPrompt(body: Json) {
  const name = (body['prompt'] ?? undefined) === undefined ? PROMPT.wire : 'prompt';
  const stated: unknown = body[name];
  const text: unknown = Array.isArray(stated) && stated.length === 1 ? stated[0] : stated;
  if (Array.isArray(text))
    throw new Text2ImgError(
      'invalid_prompt',
      `"prompt" is a list of ${text.length}; allowed is one text in a request.`,
    );
  if (text === undefined || text === null)
    throw new Text2ImgError('invalid_prompt', '"prompt" is missing; a string is needed, which may be empty.');
  if (typeof text !== 'string') return { fields: {}, prompt: { name, text }, ignored: [] };
  const extra = takeExtraArguments(text);
  return { fields: extra.fields, prompt: { name, text: extra.prompt }, ignored: extra.ignored };
}

function refuseImages(body: Json): void {
  const name = IMAGE_INPUTS.find((input) => isMeant(body[input]));
  if (name === undefined) return;
  throw new Text2ImgError('not_implemented', `"${name}" is given, and images as input are not implemented yet.`);
}

/** Empty values and 0 are how clients write none. */
function isMeant(value: unknown): boolean {
  const isEmptyList = Array.isArray(value) && value.length === 0;
  return value !== undefined && value !== null && value !== '' && value !== false && value !== 0 && !isEmptyList;
}

type Chosen = Map<string, { readonly name: string; readonly value: unknown }>;

function roundSides(chosen: Chosen, warnings: string[]): void {
  for (const wire of [WIDTH.wire, HEIGHT.wire]) {
    const side = chosen.get(wire);
    if (side === undefined) continue;
    const value = roundedSide(side.value);
    if (value === side.value) continue;
    chosen.set(wire, { ...side, value });
    warnings.push(`${side.name} ${String(side.value)} was rounded down to ${String(value)}.`);
  }
}

/** SGLang's clients may send a list of seeds. Image k has the first one's seed + k here. */
function joinSeeds(chosen: Chosen): void {
  const stated = chosen.get(SEED.wire);
  if (!Array.isArray(stated?.value)) return;
  const seeds = stated.value.map((seed: unknown) => statedValue(SEED.wire, seed));
  const count = COUNT.type({ ...NO_LIMITS, maxImages: Infinity }).parse(chosen.get(COUNT.wire)?.value ?? 1) ?? 1;
  const [first] = seeds;
  const isRow = seeds.every((seed, index) => typeof seed === 'number' && seed === (first as number) + index);
  if (seeds.length === 0 || !(seeds.length === 1 || (isRow && seeds.length === count)))
    throw refusedValue(stated.name, stated.value, `one number, and ${count} consecutive ones, a seed for each image`);
  chosen.set(SEED.wire, { name: stated.name, value: first });
}
