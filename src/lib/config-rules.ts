/**
 * How a component's config.json is read. Each class has three lists of keys. Implemented keys have a zod schema with the range of every number. Keys
 * that are known to have no effect on inference have the reason. For the third list, any value that does not mean "off" is refused by name. A key
 * that the class does not have is a warning, because real checkpoints carry keys of other classes. Rules that join several keys are checked last.
 */
import { z } from 'zod';
import { Text2ImgError } from '../errors/text2img-error.ts';
import { allowedValues } from './allowed-values.ts';
import { own } from './foreign-record.ts';
import { quote } from './foreign-text.ts';

/** A value that only a few others may have; none of them is a list or an object. */
type Plain = string | number | boolean | null;

export interface ConfigRules<T> {
  /** Keys that are read; a sparse old file gets the class's own defaults from here. */
  readonly implemented: z.ZodType<T>;
  /** The keys of `implemented`. */
  readonly implementedKeys: readonly string[];
  /** Key → why it does not matter. */
  readonly withoutEffect: Readonly<Record<string, string>>;
  /** Key → the values that mean "off"; any other value is refused. */
  readonly onlyDefault: Readonly<Record<string, readonly Plain[]>>;
  /** A sentence, without the file and the full stop, about values that are allowed each but not together. */
  contradiction?(config: T): string | undefined;
}

/** A class of networks or schedulers. */
export interface ConfiguredClass<T> {
  readonly className: string;
  readonly rules: ConfigRules<T>;
}

export interface ReadConfig<T> {
  readonly config: T;
  readonly warnings: readonly string[];
}

/** How many unknown keys a warning names. */
const NAMED_KEYS = 5;

/** A number of the range, its ends included. */
export function numberFrom(least: number, most: number): z.ZodNumber {
  const allowed = `allowed are numbers from ${least} to ${most}`;
  return z.number(allowed).min(least, allowed).max(most, allowed);
}

/** A whole number of the range, its ends included. */
export function wholeFrom(least: number, most: number): z.ZodInt {
  const allowed = `allowed are whole numbers from ${least} to ${most}`;
  return z.int(allowed).min(least, allowed).max(most, allowed);
}

/** A count of channels, layers or tokens. Larger ones are mistakes, and what is built from them would not fit into memory. */
export const count = wholeFrom(1, 1_000_000);

/** Each block halves or doubles the size; no image is left after more. */
export const MAX_BLOCKS = 16;

const side = wholeFrom(1, 16_384);
/** One number for both, or height and width. */
export const sampleSize = z.union(
  [side, z.tuple([side, side])],
  'allowed are whole numbers from 1 to 16384, or two of them',
);

const isDivisor = (value: number): boolean => Math.abs(value) >= 1e-6 && Math.abs(value) <= 1e6;
/** A divisor: neither 0 nor so near to 0 or so large that float32 overflows. */
export const divisor = z
  .number()
  .refine(isDivisor, 'values are divided by it; allowed are 0.000001 to 1000000 and their negatives');

/** The epsilon of a normalisation. */
export const normEpsilon = numberFrom(1e-12, 1);

/**
 * @param where the file, for messages
 * @throws `invalid_config`, `unsupported_config`
 */
export function readConfig<T>(
  { className, rules }: ConfiguredClass<T>,
  json: Readonly<Record<string, unknown>>,
  where: string,
): ReadConfig<T> {
  const implemented = new Set(rules.implementedKeys);
  const unknown: string[] = [];
  for (const [key, value] of Object.entries(json)) {
    if (key.startsWith('_') || implemented.has(key) || Object.hasOwn(rules.withoutEffect, key)) continue;
    const allowed = own(rules.onlyDefault, key);
    if (allowed === undefined) unknown.push(key);
    else if (!allowed.some((candidate) => candidate === value)) throw notImplemented({ key, value, allowed, where });
  }
  const result = rules.implemented.safeParse(json, { error: allowedValues });
  if (!result.success) throw configError(result.error, json, where);
  const contradiction = rules.contradiction?.(result.data);
  if (contradiction !== undefined) throw new Text2ImgError('invalid_config', `${where}: ${contradiction}.`);
  return { config: result.data, warnings: unknownKeys(unknown, className, where) };
}

/** A sentence for `contradiction` when a group norm cannot divide the channels of every block. */
export function undividedChannels(channels: readonly number[], groups: number): string | undefined {
  const undivided = [...new Set(channels.filter((size) => size % groups !== 0))];
  if (undivided.length === 0) return undefined;
  return `"norm_num_groups" is ${groups}, which does not divide ${undivided.join(', ')} of "block_out_channels"`;
}

interface Refused {
  readonly key: string;
  readonly value: unknown;
  readonly allowed: readonly Plain[];
  readonly where: string;
}

function notImplemented({ key, value, allowed, where }: Refused): Text2ImgError {
  const list = allowed.map((candidate) => JSON.stringify(candidate)).join(', ');
  return new Text2ImgError(
    'unsupported_config',
    `${where}: "${key}" is ${quote(value)}, which is not implemented; allowed: ${list}.`,
  );
}

/** One sentence, however many there are. */
function unknownKeys(keys: readonly string[], className: string, where: string): string[] {
  const [first, ...others] = keys;
  if (first === undefined) return [];
  if (others.length === 0) return [`${where}: ${className} has no key ${quote(first)}; it is ignored.`];
  const named = keys.slice(0, NAMED_KEYS).map((key) => quote(key, 60));
  const rest = keys.length > NAMED_KEYS ? ` and ${keys.length - NAMED_KEYS} more` : '';
  return [`${where}: ${className} has no keys ${named.join(', ')}${rest}; they are ignored.`];
}

function configError(error: z.ZodError, json: Readonly<Record<string, unknown>>, where: string): Text2ImgError {
  const issue = error.issues[0];
  const key = String(issue?.path[0] ?? '');
  const value = own(json, key);
  const stated = value === undefined ? `"${key}" is missing` : `"${key}" is ${quote(value)}`;
  // A value of the right type that is none of those implemented is the checkpoint's choice, not a mistake in the file.
  const unsupported = issue?.code === 'invalid_value' && value !== undefined;
  return new Text2ImgError(
    unsupported ? 'unsupported_config' : 'invalid_config',
    `${where}: ${stated}; ${issue?.message ?? 'not allowed'}.`,
  );
}
