/**
 * The `parameters` text that tools for Stable Diffusion read and write, in the layout of AUTOMATIC1111's web UI. It holds the prompt, a line with the
 * negative prompt, and one line of `Name: value` pairs. Most names stand in the table of request fields. Names that join fields (`Size`, `Sampler`
 * with `Schedule type`) or count otherwise (`Clip skip`) are known here. Numbers are printed so that they read back exactly. Prompts that the layout cannot carry unharmed are
 * repeated in a quoted `Prompts` value.
 */
import { Text2ImgError } from '../errors/text2img-error.ts';
import { type FieldType, sizePair } from '../job/field-types.ts';
import type { ResolvedGenerationRequest } from '../job/generation-request.ts';
import { NO_LIMITS } from '../job/limits.ts';
import type { FieldTable, FieldValue, Resolved } from '../job/request-field.ts';
import { REQUEST_FIELDS } from '../job/request-fields.ts';
import { own } from '../lib/foreign-record.ts';
import { quote } from '../lib/foreign-text.ts';
import { omitUndefined } from '../lib/omit-undefined.ts';
import { parseScheduleType } from '../schedulers/schedule-types.ts';
import { isScheduleType, samplerOfScheduler, schedulerOfSampler } from '../schedulers/scheduler-names.ts';
import { VERSION } from '../version.ts';
import { quoteValue, splitText } from './parameters-line.ts';

/** Fields that are laid out below, or share a name with another. */
type JoinedName = 'prompt' | 'negativePrompt' | 'scheduler' | 'scheduleType' | 'widthPx' | 'heightPx' | 'clipSkip';
type BaseTable = FieldTable & Pick<typeof REQUEST_FIELDS, JoinedName>;
type NamedInPng<Table> = {
  [Name in keyof Table]: Table[Name] extends { readonly png: string } ? Name : never;
}[keyof Table];

/**
 * The parameters of one image; the same values and weights generate it again. The seed is this image's own. A value that is missing is not written.
 */
type Parameters<Table extends BaseTable> = Partial<Pick<Resolved<Table>, NamedInPng<Table>>> & JoinedValues;

interface JoinedValues
  extends Pick<ResolvedGenerationRequest, 'prompt' | 'widthPx' | 'heightPx'>,
    Partial<Pick<ResolvedGenerationRequest, 'negativePrompt' | 'scheduler' | 'scheduleType' | 'clipSkip'>> {
  /** The negative prompt is an empty text, which this model tells from none. */
  readonly isEmptyNegativeMeant?: true;
  readonly modelName: string;
  readonly modelHash: string | null;
  /** Of an autoencoder that replaces the model's own. */
  readonly vaeName?: string;
  /** The runtime and its compute type, where they are not ONNX Runtime and its usual one. Reading an image does not choose it. */
  readonly runtime?: string;
}

/** The parameters in a `parameters` text; other tools leave things out. */
type Parsed<Table extends BaseTable> = Partial<Parameters<Table>> & { readonly prompt: string };

export type GenerationParameters = Parameters<typeof REQUEST_FIELDS>;
export type ParsedParameters = Parsed<typeof REQUEST_FIELDS>;

interface ParametersText<Table extends BaseTable> {
  /** @returns text without NUL, so that it fits into a PNG text chunk */
  readonly format: (parameters: Parameters<Table>) => string;
  /**
   * Reads our own texts exactly and the web UI's as far as they say things we know.
   * @throws `unreadable_file` when a value that we know is not what it should be
   */
  readonly parse: (text: string) => Parsed<Table>;
  /**
   * The parts of a text that `parse` does not read, as `Name: value`. An image that is generated without them may differ. Empty for our own texts.
   */
  readonly notTaken: (text: string) => readonly string[];
}

/** Where a PNG has the fields that share a name with another, for docs/requests.md. */
export const JOINED_PLACES: Readonly<Record<JoinedName, string>> = {
  prompt: 'the first lines',
  negativePrompt: '`Negative prompt`',
  scheduler: '`Sampler` and `Scheduler`',
  scheduleType: '`Schedule type`',
  widthPx: '`Size`',
  heightPx: '`Size`',
  clipSkip: '`Clip skip`, which is 1 more',
};

const NEGATIVE_PREFIX = 'Negative prompt: ';

const SCHEDULE_TYPE = 'Schedule type';

/** The usual order. Names of the table that are not in it follow, then `LAST_NAMES`. */
const FIRST_NAMES = [
  'Steps',
  'Sampler',
  SCHEDULE_TYPE,
  'CFG scale',
  'Seed',
  'Size',
  'Model hash',
  'Model',
  'VAE',
  'Runtime',
];
const CLIP_SKIP = 'Clip skip';
const LAST_NAMES = [CLIP_SKIP, 'Scheduler', 'Prompts', 'Version'];
/** Schedules of the web UI that are the sampler's own here. */
const PLAIN_SCHEDULES: ReadonlySet<string> = new Set(['Automatic', 'Uniform']);
const OUR_VERSION = /^text2img /;

/** Reads and writes the text with the fields of `table`. */
export function parametersText<Table extends BaseTable>(table: Table): ParametersText<Table> {
  const fields = Object.entries<FieldTable[string]>(table).flatMap(([name, { png, type }]) =>
    png === undefined ? [] : [{ name, png, type: type(NO_LIMITS) }],
  );
  const fieldNames = fields.map(({ png }) => png);
  const order = [...FIRST_NAMES, ...fieldNames.filter((name) => !FIRST_NAMES.includes(name)), ...LAST_NAMES];
  const taken = new Set(order);

  function layOut(parameters: Parameters<Table>, exactPrompts: string | undefined): string {
    const values: Readonly<Record<string, FieldValue | null | undefined>> = { ...parameters };
    const {
      prompt,
      scheduler,
      scheduleType,
      widthPx,
      heightPx,
      modelName,
      modelHash,
      vaeName,
      runtime,
      clipSkip,
    }: JoinedValues = parameters;
    const pairs: Readonly<Record<string, string | undefined>> = {
      ...Object.fromEntries(fields.map(({ name, png, type }) => [png, formatted(type, values[name])])),
      Sampler: scheduler === undefined ? undefined : samplerOfScheduler(scheduler),
      [SCHEDULE_TYPE]: formatted(table.scheduleType.type(), scheduleType),
      Size: `${widthPx}x${heightPx}`,
      'Model hash': modelHash ?? undefined,
      Model: modelName,
      VAE: vaeName,
      Runtime: runtime,
      [CLIP_SKIP]: formatClipSkip(clipSkip),
      Scheduler: scheduler,
      Prompts: exactPrompts,
      Version: `text2img ${VERSION}`,
    };
    const negativePrompt = negativePromptOf(parameters);
    const negative = negativePrompt === undefined ? [] : [NEGATIVE_PREFIX + negativePrompt];
    const line = order.flatMap((name) => {
      const value = own(pairs, name);
      return value === undefined ? [] : [`${name}: ${quoteValue(value)}`];
    });
    return [prompt, ...negative, line.join(', ')].join('\n');
  }

  function parse(text: string): Parsed<Table> {
    const { lines, pairs } = splitText(text);
    const { prompt, negativePrompt } = pairs.has('Prompts')
      ? exactPrompts(pairs.get('Prompts') ?? '')
      : splitPrompts(lines);
    const [widthPx, heightPx] = readSize(pairs.get('Size'));
    const found = {
      prompt,
      negativePrompt,
      ...Object.fromEntries(fields.map(({ name, png, type }) => [name, readValue(png, type, pairs.get(png))])),
      ...readScheduler(pairs),
      widthPx,
      heightPx,
      modelName: pairs.get('Model'),
      modelHash: pairs.get('Model hash'),
      vaeName: pairs.get('VAE'),
      clipSkip: readClipSkip(pairs),
    };
    // Each value was read by the type of its field.
    return omitUndefined(found) as unknown as Parsed<Table>;
  }

  return {
    format(parameters) {
      const { prompt }: JoinedValues = parameters;
      const negativePrompt = negativePromptOf(parameters);
      const plain = layOut(parameters, undefined);
      const readBack = parse(plain);
      const survives =
        readBack.prompt === prompt &&
        readBack.negativePrompt === negativePrompt &&
        plain.isWellFormed() &&
        !plain.includes('\0');
      if (survives) return plain;
      const exact = JSON.stringify(negativePrompt === undefined ? [prompt] : [prompt, negativePrompt]);
      return layOut(parameters, exact).replaceAll('\0', '\ufffd').toWellFormed();
    },
    parse,
    notTaken(text) {
      const { pairs } = splitText(text);
      return [...pairs]
        .filter(([name, value]) => {
          if (name === SCHEDULE_TYPE)
            return pairs.get('Scheduler') === undefined && !PLAIN_SCHEDULES.has(value) && !isScheduleType(value);
          return !taken.has(name);
        })
        .map(([name, value]) => `${name}: ${value}`);
    },
  };
}

const ours = parametersText(REQUEST_FIELDS);

export const formatGenerationParameters = ours.format;
export const parseGenerationParameters = ours.parse;
export const parametersNotTaken = ours.notTaken;

function formatted(type: FieldType<FieldValue>, value: FieldValue | null | undefined): string | undefined {
  return value === undefined || value === null ? undefined : type.format(value);
}

function readValue(name: string, type: FieldType<FieldValue>, text: string | undefined): FieldValue | undefined {
  if (text === undefined) return undefined;
  const value = type.readText(text);
  if (value !== undefined) return value;
  const isNumber = type.json.type === 'integer' || type.json.type === 'number';
  throw new Text2ImgError(
    'unreadable_file',
    `The generation parameters say ${name}: ${quote(text)}, ${isNumber ? 'which is not a number' : `which should be ${type.allowed}`}.`,
  );
}

/** As the text says it: an empty one is left out, unless the model tells it from none. */
function negativePromptOf({ negativePrompt, isEmptyNegativeMeant }: JoinedValues): string | undefined {
  return (isEmptyNegativeMeant ? negativePrompt : negativePrompt || undefined) ?? undefined;
}

/** Web UIs begin with 1, which leaves no layer out. */
function formatClipSkip(clipSkip: number | null | undefined): string | undefined {
  return clipSkip === undefined || clipSkip === null ? undefined : String(clipSkip + 1);
}

/** Of another tool's text 1 is as good as none. */
function readClipSkip(pairs: ReadonlyMap<string, string>): number | undefined {
  const type = REQUEST_FIELDS.clipSkip.type();
  const stated = readValue(CLIP_SKIP, type, pairs.get(CLIP_SKIP));
  if (typeof stated !== 'number' || (stated <= 1 && !isOurs(pairs))) return undefined;
  return stated - 1;
}

function isOurs(pairs: ReadonlyMap<string, string>): boolean {
  return OUR_VERSION.test(pairs.get('Version') ?? '');
}

/** Whether text2img wrote the text: other tools mean something else by some values. */
export function isOwnText(text: string): boolean {
  return isOurs(splitText(text).pairs);
}

function exactPrompts(json: string): { prompt: string; negativePrompt: string | undefined } {
  try {
    const [prompt, negativePrompt] = JSON.parse(json) as [unknown, unknown];
    if (typeof prompt === 'string' && (typeof negativePrompt === 'string' || negativePrompt === undefined))
      return { prompt, negativePrompt };
  } catch {
    // falls through to the one error below
  }
  throw new Text2ImgError(
    'unreadable_file',
    `The generation parameters have an unreadable "Prompts" value: ${quote(json)}.`,
  );
}

/** @param lines of a text without its last one */
export function splitPrompts(lines: readonly string[]): { prompt: string; negativePrompt: string | undefined } {
  const start = lines.findIndex((line) => line.startsWith(NEGATIVE_PREFIX.trimEnd()));
  if (start < 0) return { prompt: lines.join('\n'), negativePrompt: undefined };
  const negative = lines.slice(start).join('\n').slice(NEGATIVE_PREFIX.trimEnd().length);
  return {
    prompt: lines.slice(0, start).join('\n'),
    negativePrompt: negative.startsWith(' ') ? negative.slice(1) : negative,
  };
}

/** Our own texts have both exactly; in those of other tools the schedule is a part of the name. Any other schedule is named by `notTaken`. */
function readScheduler(pairs: ReadonlyMap<string, string>): { scheduler?: string | undefined; scheduleType?: string } {
  const [scheduler, sampler, schedule] = [pairs.get('Scheduler'), pairs.get('Sampler'), pairs.get(SCHEDULE_TYPE)];
  if (scheduler !== undefined)
    return { scheduler, ...(schedule === undefined ? {} : { scheduleType: parseScheduleType(schedule) ?? schedule }) };
  return sampler === undefined ? {} : { scheduler: schedulerOfSampler(sampler, schedule) };
}

function readSize(value: string | undefined): readonly [number | undefined, number | undefined] {
  if (value === undefined) return [undefined, undefined];
  const [height, width] = sizePair.readText(value) ?? [];
  if (width !== undefined && height !== undefined) return [width, height];
  throw new Text2ImgError(
    'unreadable_file',
    `The generation parameters say Size: ${quote(value)}; it should be like "512x768".`,
  );
}
