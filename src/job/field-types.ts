/**
 * The types of request fields. One record gives reading from JSON and from text, the refusal and the schema. So the range stands once for documents,
 * flags, PNGs and generated pages.
 */

import type { ErrorCode } from '../errors/error-codes.ts';
import { Text2ImgError } from '../errors/text2img-error.ts';
import { quote } from '../lib/foreign-text.ts';

/** The part of JSON Schema that the fields need. */
export interface JsonSchema {
  readonly type: 'integer' | 'number' | 'string' | 'boolean' | 'array';
  readonly minimum?: number;
  readonly maximum?: number;
  readonly multipleOf?: number;
  readonly maxLength?: number;
  readonly enum?: readonly string[];
  readonly items?: JsonSchema;
  readonly minItems?: number;
  /** A gap in the range. */
  readonly not?: { readonly exclusiveMinimum: number; readonly exclusiveMaximum: number };
  readonly maxItems?: number;
}

export interface FieldType<T> {
  /** Of one value. The engine's protocol takes the kinds from here, never the ranges. */
  readonly json: JsonSchema;
  /** Completes "it must be": `a whole number from 1 to 1000`. */
  readonly allowed: string;
  /** The code of an option's bad value in a command about one image. */
  readonly code: 'invalid_parameter' | 'unknown_scheduler';
  /** Where the values are names: those that somebody may have meant who typed another one. */
  readonly names?: readonly string[];
  /** Why a text is not allowed that means something. */
  reasonAgainst?(text: string): string | undefined;
  /** Every character counts: an option does not trim the text, may be empty and may hold line ends. */
  readonly verbatim?: true;
  /** A value that says the same as none: a document's field counts as absent, an option's beats what else would give a value. */
  readonly absent?: T;
  /** @returns undefined where the value is not allowed, and for `absent`; a parsed value is parsed to itself */
  parse(json: unknown): T | undefined;
  /** Of an option, as a user types it. Takes `absent` too. */
  parseText(text: string): T | undefined;
  /** Of a PNG, which other programs write too: checks the kind only, because the document's rules follow. Reads back what `format` wrote. */
  readText(text: string): T | undefined;
  format(value: T): string;
  /** The error for a value that `parse` does not take. */
  refuse(name: string, value: unknown): Text2ImgError;
}

/** Of a value in a sentence. */
const QUOTED_LENGTH = 80;

/** The error for a value that is none of those allowed. */
export function refusal(allowed: string, code: ErrorCode = 'invalid_parameter') {
  return (name: string, value: unknown): Text2ImgError =>
    new Text2ImgError(code, `"${name}" is ${stated(value)}; allowed are ${allowed}.`);
}

/** For a number: the error for a text that looks like one differs from the error for a number out of its range. */
function numberRefusal(allowed: string) {
  return (name: string, value: unknown): Text2ImgError =>
    typeof value === 'string'
      ? new Text2ImgError(
          'invalid_parameter',
          `"${name}" is text (${quote(value, QUOTED_LENGTH)}); a number is needed: allowed are ${allowed}.`,
        )
      : refusal(allowed)(name, value);
}

/** A value in a sentence. */
export function stated(value: unknown): string {
  return value === undefined ? 'missing' : quote(value, QUOTED_LENGTH);
}

interface Range {
  readonly min: number;
  /** Infinity: none. */
  readonly max: number;
}

function rangeText({ min, max }: Range, atLeast: string): string {
  return Number.isFinite(max) ? ` from ${min} to ${max}` : `${atLeast} ${min}`;
}

const WHOLE = /^\s*[+-]?\d+\s*$/;
const DECIMAL = /^\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?\s*$/i;

/** Other forms that `Number` takes (hexadecimal, an empty text, infinities) are no number here. */
function finiteNumber(text: string): number | undefined {
  const value = Number(text);
  return DECIMAL.test(text) && Number.isFinite(value) ? value : undefined;
}

interface WholeOptions extends Range {
  readonly multipleOf?: number;
  /** The number that counts as none, and what follows from it. */
  readonly absent?: { readonly value: number; readonly meaning: string };
  /** A number outside the range that is allowed all the same, and what follows from it. */
  readonly also?: { readonly value: number; readonly meaning: string };
}

/** Whole numbers that JSON keeps exactly. */
export function whole({ min, max, multipleOf = 1, absent, also }: WholeOptions): FieldType<number> {
  const range = { min, max: Math.floor(max / multipleOf) * multipleOf };
  const parse = (value: unknown): number | undefined =>
    typeof value === 'number' &&
    ((Number.isSafeInteger(value) && value >= min && value <= max && value % multipleOf === 0) || value === also?.value)
      ? value
      : undefined;
  const isAny = multipleOf === 1;
  const others = [absent, also].flatMap((other) =>
    other === undefined ? [] : [`, or ${other.value} for ${other.meaning}`],
  );
  const orOther = others.join('');
  const lowest = Math.min(min, absent?.value ?? min, also?.value ?? min);
  return {
    json: {
      type: 'integer',
      minimum: lowest,
      ...(lowest < min - 1 ? { not: { exclusiveMinimum: lowest, exclusiveMaximum: min } } : {}),
      ...(Number.isFinite(max) ? { maximum: range.max } : {}),
      ...(isAny ? {} : { multipleOf }),
    },
    allowed: `a whole number${rangeText(range, ', at least')}${isAny ? '' : ` and divisible by ${multipleOf}`}${orOther}`,
    code: 'invalid_parameter',
    ...(absent === undefined ? {} : { absent: absent.value }),
    parse,
    parseText: (text) => {
      const value = WHOLE.test(text) ? Number(text) : undefined;
      return value === absent?.value ? value : parse(value);
    },
    readText: finiteNumber,
    format: formatNumber,
    refuse: numberRefusal(
      `${isAny ? 'whole numbers' : `multiples of ${multipleOf}`}${rangeText(range, ' from')}${orOther}`,
    ),
  };
}

/** Finite numbers. */
export function decimal({ min, max }: Range = { min: -Infinity, max: Infinity }): FieldType<number> {
  const isBounded = Number.isFinite(min);
  const parse = (value: unknown): number | undefined =>
    typeof value === 'number' && Number.isFinite(value) && value >= min && value <= max ? value : undefined;
  return {
    json: {
      type: 'number',
      ...(isBounded ? { minimum: min } : {}),
      ...(Number.isFinite(max) ? { maximum: max } : {}),
    },
    allowed: isBounded ? `a number${rangeText({ min, max }, ', at least')}` : 'a number',
    code: 'invalid_parameter',
    parse,
    parseText: (text) => parse(finiteNumber(text)),
    readText: finiteNumber,
    format: formatNumber,
    refuse: numberRefusal(isBounded ? `numbers${rangeText({ min, max }, ' from')}` : 'finite numbers'),
  };
}

export type Pair = readonly [number, number];

/** The largest whole number up to which float32 holds all. */
const MAX_IN_PAIR = 2 ** 24;

interface PairOptions {
  /** Of the two numbers in documents. */
  readonly order: string;
  /** As a flag and a PNG write it; it is read back with `parse`. */
  readonly text: {
    readonly form: string;
    readonly format: (pair: Pair) => string;
    readonly read: (text: string) => Pair | undefined;
  };
}

/** Two whole numbers in diffusers' order, as `[height, width]`. */
function pairOf({ order, text: { form, format, read } }: PairOptions): FieldType<Pair> {
  const range = `whole numbers from 0 to ${MAX_IN_PAIR}`;
  const number = whole({ min: 0, max: MAX_IN_PAIR });
  const parse = (value: unknown): Pair | undefined => {
    const [first, second, ...more] = Array.isArray(value) ? value.map((one) => number.parse(one)) : [];
    return first === undefined || second === undefined || more.length > 0 ? undefined : [first, second];
  };
  const readText = (value: string): Pair | undefined => {
    const pair = read(value);
    return pair === undefined ? undefined : parse(pair);
  };
  return {
    json: { type: 'array', items: number.json, minItems: 2, maxItems: 2 },
    allowed: `${form} with ${range}; ${order} in documents`,
    code: 'invalid_parameter',
    parse,
    parseText: readText,
    readText,
    format,
    refuse: (name, value) =>
      new Text2ImgError('invalid_parameter', `"${name}" is ${stated(value)}; allowed is ${order}, two ${range}.`),
  };
}

function twoNumbers(pattern: RegExp, value: string): Pair | undefined {
  const [, first, second] = pattern.exec(value) ?? [];
  return first === undefined || second === undefined ? undefined : [Number(first), Number(second)];
}

/** Documents have the height first, as diffusers does; flags and PNGs the width, as `--size` does. */
export const sizePair: FieldType<Pair> = pairOf({
  order: '[height, width]',
  text: {
    form: 'WIDTHxHEIGHT',
    format: ([height, width]) => `${width}x${height}`,
    read: (value) => {
      const [width, height] = twoNumbers(/^\s*(\d{1,9})\s*[x×*]\s*(\d{1,9})\s*$/i, value) ?? [];
      return width === undefined || height === undefined ? undefined : [height, width];
    },
  },
});

export const cornerPair: FieldType<Pair> = pairOf({
  order: '[top, left]',
  text: {
    form: 'TOP,LEFT',
    format: ([top, left]) => `${top},${left}`,
    read: (value) => twoNumbers(/^\s*(\d{1,9})\s*,\s*(\d{1,9})\s*$/, value),
  },
});

/** −0 and exponents survive `Number()` of this. */
function formatNumber(value: number): string {
  return Object.is(value, -0) ? '-0' : String(value);
}

export interface TextOptions {
  /** In UTF-8. */
  readonly maxBytes: number;
  /** Of a value that is no string, where it is another than `invalid_parameter`. */
  readonly noText?: { readonly code: ErrorCode; readonly allowed: string };
}

/** A prompt: any text, the empty one too. */
export function text({ maxBytes, noText }: TextOptions): FieldType<string> {
  const parse = (value: unknown): string | undefined =>
    typeof value === 'string' && Buffer.byteLength(value) <= maxBytes ? value : undefined;
  const refuseKind = (name: string, value: unknown): Text2ImgError =>
    noText === undefined
      ? refusal('strings')(name, value)
      : new Text2ImgError(noText.code, `"${name}" is ${stated(value)}; ${noText.allowed}.`);
  return {
    json: { type: 'string' },
    allowed: Number.isFinite(maxBytes) ? `a text of at most ${maxBytes} bytes in UTF-8` : 'a text',
    code: 'invalid_parameter',
    verbatim: true,
    parse,
    // An option's text is bounded with the document that it becomes: the sentence then names both sizes.
    parseText: (value) => value,
    readText: (value) => value,
    format: (value) => value,
    refuse: (name, value) =>
      typeof value === 'string'
        ? new Text2ImgError(
            'prompt_too_large',
            `"${name}" has ${Buffer.byteLength(value)} bytes, beginning ${quote(value, QUOTED_LENGTH)}; allowed are at most ${maxBytes}.`,
          )
        : refuseKind(name, value),
  };
}

/** A text in one line, as a URL. */
export function line({ maxLength }: { readonly maxLength: number }): FieldType<string> {
  const parse = (value: unknown): string | undefined =>
    typeof value === 'string' && value.length <= maxLength ? value : undefined;
  return {
    json: { type: 'string', maxLength },
    allowed: `a text of at most ${maxLength} characters`,
    code: 'invalid_parameter',
    parse,
    parseText: parse,
    readText: parse,
    format: (value) => value,
    refuse: (name, value) =>
      typeof value === 'string'
        ? new Text2ImgError(
            'invalid_parameter',
            `"${name}" has ${value.length} characters; allowed are at most ${maxLength}.`,
          )
        : refusal('strings')(name, value),
  };
}
