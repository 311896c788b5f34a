/**
 * How an option's text becomes a value: from a command line or the environment everything arrives as text.
 */
import { z } from 'zod';
import { resolveSchedulerName, SCHEDULER_NAMES } from '../../schedulers/scheduler-names.ts';

interface Range {
  readonly min: number;
  readonly max?: number;
}

export const text = z.string();

export function wholeNumber({ min, max = Number.MAX_SAFE_INTEGER }: Range) {
  return z
    .string()
    .regex(/^\s*[+-]?\d+\s*$/)
    .transform(Number)
    .pipe(z.number().int().min(min).max(max));
}

/** Finite: NaN and infinities are refused. */
export function decimalNumber({ min, max = Number.MAX_VALUE }: Range) {
  return z
    .string()
    .regex(/^\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?\s*$/i)
    .transform(Number)
    .pipe(z.number().min(min).max(max));
}

/** A side of a picture: diffusers refuses what 8 does not divide. */
export const sidePx = wholeNumber({ min: 8, max: 65_536 }).refine((value) => value % 8 === 0);

export function oneOf<const Names extends readonly [string, ...string[]]>(names: Names) {
  return z.enum(names);
}

/** In the environment a switch has a value; on the command line it is `--x` or `--no-x`. */
export const onOrOff = z
  .string()
  .transform((value) => value.trim().toLowerCase())
  .pipe(z.enum(['1', 'true', 'yes', 'on', '0', 'false', 'no', 'off']))
  .transform((value) => ['1', 'true', 'yes', 'on'].includes(value));

/** A class name of diffusers or a short name; becomes the name that requests carry. */
export const schedulerName = z
  .string()
  .refine((name) => SCHEDULER_NAMES.includes(name))
  .transform(resolveSchedulerName);

/** Entries separated by commas, in lower case; an empty text is none. */
function list(text: string): readonly string[] {
  return text
    .toLowerCase()
    .split(',')
    .map((entry) => entry.trim())
    .filter((entry) => entry !== '');
}

export const eventList = z
  .string()
  .transform(list)
  .pipe(z.array(z.enum(['completed', 'error'])).min(1))
  .transform((events): ReadonlySet<'completed' | 'error'> => new Set(events));

/** `host` or `host:port`. */
export const hostList = z
  .string()
  .transform(list)
  .pipe(z.array(z.string().regex(/^(?:\[[0-9a-f:.]+\]|[a-z0-9.-]+)(?::\d{1,5})?$/)))
  .transform((hosts): ReadonlySet<string> => new Set(hosts));
