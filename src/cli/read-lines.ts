/**
 * Reads prompts for `text2img enqueue`: JSON lines, a JSON array, or a text with one prompt a line. The first character tells which. An object's
 * values are kept exactly as they stand there, or it is refused.
 */
import { createReadStream } from 'node:fs';
import type { Readable } from 'node:stream';
import { Text2ImgError } from '../errors/text2img-error.ts';
import { messageOf, systemCode } from '../lib/disk-errors.ts';
import { isRecord } from '../lib/foreign-record.ts';
import { quote } from '../lib/foreign-text.ts';
import { splitJsonArray } from './split-json-array.ts';

/** More than any sensible set of prompts, less than what would exhaust the memory. */
const MAX_INPUT_BYTES = 256 * 1024 * 1024;
/** Deeper lines are not looked through for numbers: the queue refuses them anyway. */
const MAX_DEPTH = 200;

interface PromptEntry {
  /** From 1. */
  readonly number: number;
  readonly value: Readonly<Record<string, unknown>>;
}

interface ReadPrompts {
  /** How an error calls the entries: `Line 3`. */
  readonly noun: 'Line' | 'Element';
  readonly entries: readonly PromptEntry[];
}

/** @param file a path, or `-` for standard input @throws `not_found`, `unreadable_file`, `invalid_document` */
export async function readPrompts(file: string): Promise<ReadPrompts> {
  const name = nameOfInput(file);
  const text = await readText(file, name);
  const [first] = /\S/.exec(text.replace(/^[\s\uFEFF]+/, '')) ?? [];
  if (first === '[') return { noun: 'Element', entries: elementsOf(text, name) };
  return { noun: 'Line', entries: linesOf(text, { name, isJson: first === '{' || JSON_NAME.test(file) }) };
}

/** A file of this name holds no plain text. */
const JSON_NAME = /\.(?:jsonl?|ndjson)$/i;

function linesOf(text: string, { name, isJson }: { readonly name: string; readonly isJson: boolean }): PromptEntry[] {
  const entries: PromptEntry[] = [];
  for (const [index, line] of text.split('\n').entries()) {
    // `trim` takes byte order marks away too: files that were put together have one in their midst.
    const trimmed = line.trim();
    if (trimmed === '') continue;
    const number = index + 1;
    entries.push({ number, value: isJson ? parseObject(trimmed, `Line ${number} of ${name}`) : { text: trimmed } });
  }
  return entries;
}

function elementsOf(text: string, name: string): PromptEntry[] {
  const elements = splitJsonArray(text);
  if (elements === undefined)
    throw new Text2ImgError(
      'invalid_document',
      `${name} begins with "[" and is no JSON array: it has no end, or something stands behind it. Nothing was added.`,
    );
  return elements.map((element, index) => {
    const number = index + 1;
    // The quotation mark of a string: a prompt without further fields.
    const value = element.startsWith('"')
      ? { text: parseJson(element, `Element ${number} of ${name}`) }
      : parseObject(element, `Element ${number} of ${name}`);
    return { number, value };
  });
}

/** For sentences. */
export function nameOfInput(file: string): string {
  return file === '-' ? 'standard input' : quote(file);
}

function refusal(where: string, why: string, cause?: unknown): Text2ImgError {
  return new Text2ImgError('invalid_document', `${where} ${why} Nothing was added.`, { cause });
}

function parseJson(text: string, where: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw refusal(where, `is not JSON: ${messageOf(error)}.`, error);
  }
}

function parseObject(line: string, where: string): Readonly<Record<string, unknown>> {
  const value = parseJson(line, where);
  if (!isRecord(value)) throw refusal(where, 'is not a JSON object like {"text": "a fox"}.');
  const changed = changedNumber(line, value);
  if (changed !== undefined)
    throw refusal(
      where,
      `has a number that cannot be kept as it is: the field ${quote(changed.field)} is ${quote(changed.source).slice(1, -1)}. Give it as a text.`,
    );
  return value;
}

interface ChangedNumber {
  /** The field of the line that it stands in. */
  readonly field: string;
  readonly source: string;
}

/** The first number of the line that JavaScript's numbers would change. */
function changedNumber(line: string, value: Readonly<Record<string, unknown>>): ChangedNumber | undefined {
  // Sixteen digits, or an exponent: all others are kept.
  if (!/\d[\d.]{15}|\d[eE]/.test(line) || isDeeperThan(value, MAX_DEPTH)) return undefined;
  /** Objects and lists with such a number in them, and where. */
  const changed = new Map<unknown, ChangedNumber>();
  let found: ChangedNumber | undefined;
  JSON.parse(line, function (this: unknown, field: string, value: unknown, context?: { readonly source?: string }) {
    const source = context?.source;
    const isChanged = typeof value === 'number' && source !== undefined && !isKept(source, value);
    const inside = isChanged ? { field, source } : changed.get(value);
    if (inside !== undefined && !changed.has(this)) changed.set(this, { field, source: inside.source });
    // The last call is about the whole.
    found = changed.get(value);
    return value;
  });
  return found;
}

function isKept(source: string, value: number): boolean {
  if (!Number.isFinite(value)) return false;
  if (/^-?\d+$/.test(source)) return Number.isSafeInteger(value);
  const digits = significantDigits(source);
  return (
    digits === significantDigits(String(value)) ||
    digits === significantDigits(value.toPrecision(Math.min(100, Math.max(1, digits.length))))
  );
}

/** Without sign, point, exponent and zeros at the ends. */
function significantDigits(text: string): string {
  return text
    .replace(/[eE].*$/, '')
    .replaceAll(/[-+.]/g, '')
    .replace(/^0+/, '')
    .replace(/0+$/, '');
}

function isDeeperThan(value: unknown, depth: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return depth === 0 || Object.values(value).some((element) => isDeeperThan(element, depth - 1));
}

/** Somebody may have typed the prompt itself: words, or one without anything of a path. */
function adviceForPrompt(file: string): string {
  if (!/\s/.test(file) && /[./\\]/.test(file)) return '';
  // Only what every shell reads between quotes as it stands is repeated.
  const prompt = /^[\p{L}\p{N} ,.'-]{1,60}$/u.test(file) ? file : 'a red circle';
  return ` To add one prompt: text2img enqueue --prompt "${prompt}".`;
}

async function readText(file: string, name: string): Promise<string> {
  const stream: Readable = file === '-' ? process.stdin : createReadStream(file);
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  try {
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      sizeBytes += chunk.length;
      if (sizeBytes > MAX_INPUT_BYTES) throw new Error(`it has more than ${MAX_INPUT_BYTES} bytes`);
      chunks.push(chunk);
    }
    // A byte order mark is stripped; bytes that are not UTF-8 are an error, not replacement characters in somebody's prompt.
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks));
  } catch (error) {
    const code = systemCode(error);
    if (code === 'ENOENT' || code === 'ENOTDIR')
      throw new Text2ImgError('not_found', `The file ${name} does not exist.${adviceForPrompt(file)}`, {
        cause: error,
      });
    if (code === 'EISDIR')
      throw new Text2ImgError(
        'unreadable_file',
        `${name} is a folder; give a file of prompts, or - for standard input.`,
        {
          cause: error,
        },
      );
    throw new Text2ImgError('unreadable_file', `${name} cannot be read: ${messageOf(error)}.`, { cause: error });
  }
}
