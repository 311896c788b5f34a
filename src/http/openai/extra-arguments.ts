/**
 * `<sd_cpp_extra_args>{JSON}</sd_cpp_extra_args>` in a prompt: clients of stable-diffusion.cpp state there what OpenAI's API has no field for.
 * Source: stable-diffusion.cpp 97d2990, examples/server.
 */
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { isRecord } from '../../lib/foreign-record.ts';

const OPEN = '<sd_cpp_extra_args>';
const CLOSE = '</sd_cpp_extra_args>';

export interface ExtraArguments {
  /** Without the tag. */
  readonly prompt: string;
  /** By the names that `field-names.ts` knows. */
  readonly fields: Readonly<Record<string, unknown>>;
  /** Their names, with the tag's: they have no effect. */
  readonly ignored: readonly string[];
}

type Json = Readonly<Record<string, unknown>>;

/** A value of the tag, under the name and in the form that a body has it; undefined where it says nothing. */
type Taken = readonly [name: string, value: unknown] | undefined;

const SAME = ['negative_prompt', 'width', 'height', 'batch_count'] as const;

/** The words for none of their own. */
const DEFAULT_WORDS: ReadonlySet<unknown> = new Set(['default', 'automatic', '']);

/** Of the tag itself. They use −1 for none, and count `clip_skip` from 1. */
const TOP: Readonly<Record<string, (value: unknown) => Taken>> = {
  ...Object.fromEntries(SAME.map((name) => [name, (value: unknown): Taken => [name, value]])),
  seed: (value) => (isBelow(value, 0) ? undefined : ['seed', value]),
  clip_skip: (value) => (isBelow(value, 1) ? undefined : ['clip_skip', typeof value === 'number' ? value - 1 : value]),
};

/** Of `sample_params`. Their `scheduler` is a schedule; `discrete` spaces the timesteps evenly. */
const SAMPLE: Readonly<Record<string, (value: unknown) => Taken>> = {
  sample_steps: (value) => (isBelow(value, 1) ? undefined : ['sample_steps', value]),
  sample_method: (value) => (DEFAULT_WORDS.has(value) ? undefined : ['sample_method', value]),
  scheduler: (value) =>
    DEFAULT_WORDS.has(value) ? undefined : ['schedule_type', value === 'discrete' ? 'normal' : value],
  // Most schedulers take no eta, and 0 says the same as none.
  eta: (value) => (value === 0 ? undefined : ['eta', value]),
};

const GUIDANCE: Readonly<Record<string, (value: unknown) => Taken>> = {
  txt_cfg: (value) => ['guidance_scale', value],
};

/** @throws `invalid_parameter` for a tag that holds no JSON object */
export function takeExtraArguments(text: string): ExtraArguments {
  const begin = text.indexOf(OPEN);
  const end = begin === -1 ? -1 : text.indexOf(CLOSE, begin);
  if (end === -1) return { prompt: text, fields: {}, ignored: [] };
  const args = parseArguments(text.slice(begin + OPEN.length, end));
  const sample = isRecord(args['sample_params']) ? args['sample_params'] : {};
  const guidance = isRecord(sample['guidance']) ? sample['guidance'] : {};
  const parts = [
    read(args, { table: TOP, path: 'sd_cpp_extra_args', inner: 'sample_params' }),
    read(sample, { table: SAMPLE, path: 'sample_params', inner: 'guidance' }),
    read(guidance, { table: GUIDANCE, path: 'guidance' }),
  ];
  return {
    prompt: `${text.slice(0, begin)}${text.slice(end + CLOSE.length)}`.trim(),
    fields: Object.fromEntries(parts.flatMap(({ taken }) => taken)),
    ignored: parts.flatMap(({ ignored }) => ignored),
  };
}

interface ReadOptions {
  readonly table: Readonly<Record<string, (value: unknown) => Taken>>;
  /** Before a name that has no effect. */
  readonly path: string;
  /** An object that is read by itself. */
  readonly inner?: string;
}

function read(json: Json, { table, path, inner }: ReadOptions) {
  const taken: (readonly [string, unknown])[] = [];
  const ignored: string[] = [];
  for (const [name, value] of Object.entries(json)) {
    if (value === null || (name === inner && isRecord(value))) continue;
    const field = Object.hasOwn(table, name) ? table[name] : undefined;
    const found = field?.(value);
    if (found !== undefined) taken.push(found);
    else if (field === undefined) ignored.push(`${path}.${name}`);
  }
  return { taken, ignored };
}

function parseArguments(text: string): Json {
  let args: unknown;
  try {
    args = JSON.parse(text);
  } catch {
    // The parser's own sentence would quote the prompt, and errors are logged.
    throw new Text2ImgError('invalid_parameter', `"prompt" has ${OPEN} with text in it that is not JSON.`);
  }
  if (isRecord(args)) return args;
  throw new Text2ImgError('invalid_parameter', `"prompt" has ${OPEN} with another value than a JSON object in it.`);
}

function isBelow(value: unknown, least: number): boolean {
  return typeof value === 'number' && value < least;
}
