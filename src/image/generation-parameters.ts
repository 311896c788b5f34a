/**
 * The `parameters` text that tools for Stable Diffusion read and write (the layout is AUTOMATIC1111's web UI's): prompt, a line with the
 * negative prompt, one line of `Name: value` pairs. Numbers are printed so that they read back exactly; prompts that
 * the layout cannot carry unharmed are repeated in a quoted `Prompts` value.
 */
import { VERSION } from '../version.ts';
import { Text2ImgError } from '../errors/text2img-error.ts';
import { quote } from '../lib/foreign-text.ts';

/** What drew one picture; the same values and weights draw it again. */
export interface GenerationParameters {
  readonly prompt: string;
  readonly negativePrompt: string;
  readonly numInferenceSteps: number;
  /** As in `GenerationRequest.scheduler`. */
  readonly scheduler: string;
  readonly guidanceScale: number;
  /** This picture's own seed. */
  readonly seed: number;
  readonly widthPx: number;
  readonly heightPx: number;
  readonly modelName: string;
  readonly modelHash: string | null;
}

/** What a `parameters` text says; other tools leave things out. */
export type ParsedParameters = Partial<GenerationParameters> & { readonly prompt: string };

/** Our scheduler → the web UI's sampler name. Several of its newer names mean the same (`Schedule type` stands apart). */
const SAMPLER_NAMES: readonly (readonly [scheduler: string, sampler: string])[] = [
  ['ddim', 'DDIM'],
  ['pndm', 'PLMS'],
  ['euler', 'Euler'],
  ['euler_a', 'Euler a'],
  ['dpmpp_2m', 'DPM++ 2M'],
  ['dpmpp_2m_karras', 'DPM++ 2M Karras'],
  ['DDIMScheduler', 'DDIM'],
  ['PNDMScheduler', 'PLMS'],
  ['EulerDiscreteScheduler', 'Euler'],
  ['EulerAncestralDiscreteScheduler', 'Euler a'],
  ['DPMSolverMultistepScheduler', 'DPM++ 2M'],
];
const NEGATIVE_PREFIX = 'Negative prompt: ';

/** @returns text without NUL, so that it fits into a PNG text chunk */
export function formatGenerationParameters(parameters: GenerationParameters): string {
  const plain = layOut(parameters, undefined);
  const readBack = parseGenerationParameters(plain);
  const survives =
    readBack.prompt === parameters.prompt &&
    (readBack.negativePrompt ?? '') === parameters.negativePrompt &&
    plain.isWellFormed() &&
    !plain.includes('\0');
  if (survives) return plain;
  const exact = JSON.stringify([parameters.prompt, parameters.negativePrompt]);
  return layOut(parameters, exact).replaceAll('\0', '\ufffd').toWellFormed();
}

function layOut(parameters: GenerationParameters, exactPrompts: string | undefined): string {
  const pairs: readonly (readonly [string, string | undefined])[] = [
    ['Steps', String(parameters.numInferenceSteps)],
    ['Sampler', samplerName(parameters.scheduler)],
    ['CFG scale', formatNumber(parameters.guidanceScale)],
    ['Seed', String(parameters.seed)],
    ['Size', `${parameters.widthPx}x${parameters.heightPx}`],
    ['Model hash', parameters.modelHash ?? undefined],
    ['Model', parameters.modelName],
    ['Scheduler', parameters.scheduler],
    ['Prompts', exactPrompts],
    ['Version', `text2img ${VERSION}`],
  ];
  const negative = parameters.negativePrompt === '' ? [] : [NEGATIVE_PREFIX + parameters.negativePrompt];
  const values = pairs
    .filter((pair): pair is [string, string] => pair[1] !== undefined)
    .map(([name, value]) => `${name}: ${quoteValue(value)}`);
  return [parameters.prompt, ...negative, values.join(', ')].join('\n');
}

function samplerName(scheduler: string): string {
  return SAMPLER_NAMES.find(([ours]) => ours === scheduler)?.[1] ?? scheduler;
}

/** −0 and exponents survive `Number()` of this. */
function formatNumber(value: number): string {
  return Object.is(value, -0) ? '-0' : String(value);
}

/** As the web UI does: values that would break the line become JSON strings. */
function quoteValue(value: string): string {
  return /^[^,:"\n\r\0]+$/.test(value) && value.trim() === value && value.isWellFormed()
    ? value
    : JSON.stringify(value);
}

/** As in the web UI: a last line with fewer pairs is part of the prompt. */
const MIN_PAIRS = 3;

/** Read into the request, or (`Version`) without an influence on the picture. */
const TAKEN: ReadonlySet<string> = new Set([
  'Steps',
  'Sampler',
  'CFG scale',
  'Seed',
  'Size',
  'Model',
  'Model hash',
  'Scheduler',
  'Prompts',
  'Version',
]);
/** Schedules of the web UI that are the sampler's own here; `Karras` becomes another scheduler. */
const PLAIN_SCHEDULES: ReadonlySet<string> = new Set(['Automatic', 'Uniform', 'Karras']);
const NO_CLIP_SKIP = '1';

/**
 * Reads our own texts exactly and the web UI's as far as they say things we know.
 * @throws `unreadable_file` when a value that we know is not what it should be
 */
export function parseGenerationParameters(text: string): ParsedParameters {
  const { lines, pairs } = splitText(text);
  const { prompt, negativePrompt } = pairs.has('Prompts')
    ? exactPrompts(pairs.get('Prompts') ?? '')
    : splitPrompts(lines);
  const [widthPx, heightPx] = readSize(pairs.get('Size'));
  const found = {
    prompt,
    negativePrompt,
    numInferenceSteps: readNumber('Steps', pairs.get('Steps')),
    scheduler: pairs.get('Scheduler') ?? schedulerOf(pairs.get('Sampler'), pairs.get('Schedule type')),
    guidanceScale: readNumber('CFG scale', pairs.get('CFG scale')),
    seed: readNumber('Seed', pairs.get('Seed')),
    widthPx,
    heightPx,
    modelName: pairs.get('Model'),
    modelHash: pairs.get('Model hash'),
  };
  return Object.fromEntries(
    Object.entries(found).filter(([, value]) => value !== undefined),
  ) as unknown as ParsedParameters;
}

/**
 * What a text says beyond what is read from it, as `Name: value`; a picture that is drawn without may differ.
 * Empty for our own texts.
 */
export function parametersNotTaken(text: string): readonly string[] {
  const { pairs } = splitText(text);
  return [...pairs]
    .filter(([name, value]) => {
      if (name === 'Schedule type') return pairs.get('Scheduler') === undefined && !PLAIN_SCHEDULES.has(value);
      if (name === 'Clip skip') return value !== NO_CLIP_SKIP;
      return !TAKEN.has(name);
    })
    .map(([name, value]) => `${name}: ${value}`);
}

interface SplitText {
  /** The prompts' lines. */
  readonly lines: readonly string[];
  readonly pairs: ReadonlyMap<string, string>;
}

/** Line ends may be those of Windows, and some stand behind the last line: other tools' editors put them there. */
function splitText(text: string): SplitText {
  const lines = text.replaceAll('\r\n', '\n').trimEnd().split('\n');
  const pairs = parsePairs(lines.at(-1) ?? '');
  return pairs.size >= MIN_PAIRS ? { lines: lines.slice(0, -1), pairs } : { lines, pairs: new Map() };
}

/** A name's letters, from the second on; the first is no blank, dash or slash. */
const NAME_LETTER = /[\w \-/]/;
const NAME_START = /\w/;
const QUOTED_CHARACTER = /[^"\\]+|\\./y;

/** `Name: value, Name: "value"`; what fits nowhere is skipped. In linear time: each character is looked at a bounded number of times. */
function parsePairs(line: string): Map<string, string> {
  const pairs = new Map<string, string>();
  let start = 0;
  for (let colon = line.indexOf(':'); colon >= 0; colon = line.indexOf(':', start)) {
    const name = nameBefore(line, start, colon);
    start = colon + 1;
    if (name === '') continue;
    const end = valueEnd(line, start);
    pairs.set(name, unquote(line.slice(start, end).trim()));
    start = end + 1;
  }
  return pairs;
}

/** The longest name that ends at `colon` and begins at `start` or later. */
function nameBefore(line: string, start: number, colon: number): string {
  let first = colon;
  while (first > start && NAME_LETTER.test(line.charAt(first - 1))) first--;
  while (first < colon && !NAME_START.test(line.charAt(first))) first++;
  return line.slice(first, colon);
}

/** Where the comma behind the value stands, or the line's end. */
function valueEnd(line: string, start: number): number {
  let at = start;
  while (at < line.length && line.charAt(at).trim() === '') at++;
  if (line.charAt(at) === '"') {
    const end = quotedEnd(line, at);
    if (end === line.length || line.charAt(end) === ',') return end;
  }
  const comma = line.indexOf(',', at);
  return comma < 0 ? line.length : comma;
}

/** Behind the closing quotation mark; beyond the line where there is none. */
function quotedEnd(line: string, quotation: number): number {
  QUOTED_CHARACTER.lastIndex = quotation + 1;
  let end = quotation + 1;
  while (QUOTED_CHARACTER.test(line)) end = QUOTED_CHARACTER.lastIndex;
  return line.charAt(end) === '"' ? end + 1 : line.length + 1;
}

function unquote(value: string): string {
  if (!value.startsWith('"')) return value;
  try {
    return JSON.parse(value) as string;
  } catch {
    return value;
  }
}

function exactPrompts(json: string): { prompt: string; negativePrompt: string } {
  try {
    const [prompt, negativePrompt] = JSON.parse(json) as [unknown, unknown];
    if (typeof prompt === 'string' && typeof negativePrompt === 'string') return { prompt, negativePrompt };
  } catch {
    // falls through to the one error below
  }
  throw new Text2ImgError(
    'unreadable_file',
    `The generation parameters have an unreadable "Prompts" value: ${quote(json)}.`,
  );
}

function splitPrompts(lines: readonly string[]): { prompt: string; negativePrompt: string | undefined } {
  const start = lines.findIndex((line) => line.startsWith(NEGATIVE_PREFIX.trimEnd()));
  if (start < 0) return { prompt: lines.join('\n'), negativePrompt: undefined };
  const negative = lines.slice(start).join('\n').slice(NEGATIVE_PREFIX.trimEnd().length);
  return {
    prompt: lines.slice(0, start).join('\n'),
    negativePrompt: negative.startsWith(' ') ? negative.slice(1) : negative,
  };
}

function schedulerOf(sampler: string | undefined, scheduleType: string | undefined): string | undefined {
  if (sampler === undefined) return undefined;
  // Any other schedule is named by `parametersNotTaken`.
  const full = scheduleType === 'Karras' && !sampler.endsWith(' Karras') ? `${sampler} Karras` : sampler;
  return SAMPLER_NAMES.find(([, name]) => name === full)?.[0] ?? full;
}

const DECIMAL = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i;

function readNumber(name: string, value: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  const number = Number(value);
  // What `Number` takes beyond that (hexadecimal, an empty text) is no number here.
  if (DECIMAL.test(value) && Number.isFinite(number)) return number;
  throw new Text2ImgError(
    'unreadable_file',
    `The generation parameters say ${name}: ${quote(value)}, which is not a number.`,
  );
}

function readSize(value: string | undefined): readonly [number | undefined, number | undefined] {
  if (value === undefined) return [undefined, undefined];
  const match = /^(\d{1,6})x(\d{1,6})$/.exec(value);
  if (match === null)
    throw new Text2ImgError(
      'unreadable_file',
      `The generation parameters say Size: ${quote(value)}; it should be like "512x768".`,
    );
  return [Number(match[1]), Number(match[2])];
}
