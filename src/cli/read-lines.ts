/**
 * Reads JSON lines for `text2img enqueue`: each line is an object whose values are kept exactly as they stand there, or the line is refused.
 */
import { createReadStream } from 'node:fs';
import type { Readable } from 'node:stream';
import { Text2ImgError } from '../errors/text2img-error.ts';
import { messageOf, systemCode } from '../lib/disk-errors.ts';
import { isRecord } from '../lib/foreign-record.ts';
import { quote } from '../lib/foreign-text.ts';

/** More than any sensible set of prompts, less than what would exhaust the memory. */
const MAX_INPUT_BYTES = 256 * 1024 * 1024;
/** Deeper lines are not looked through for numbers: the queue refuses them anyway. */
const MAX_DEPTH = 200;

export interface JsonLine {
  /** From 1. */
  readonly number: number;
  readonly value: Readonly<Record<string, unknown>>;
}

/** @param file a path, or `-` for standard input @throws `not_found`, `unreadable_file`, `invalid_document` */
export async function readJsonLines(file: string): Promise<readonly JsonLine[]> {
  const name = nameOfInput(file);
  const text = await readText(file === '-' ? process.stdin : createReadStream(file), name);
  const lines: JsonLine[] = [];
  for (const [index, line] of text.split('\n').entries()) {
    // `trim` takes byte order marks away too: files that were put together have one in their midst.
    const trimmed = line.trim();
    if (trimmed !== '') lines.push({ number: index + 1, value: parseLine(trimmed, `Line ${index + 1} of ${name}`) });
  }
  return lines;
}

/** For sentences. */
export function nameOfInput(file: string): string {
  return file === '-' ? 'standard input' : quote(file);
}

function parseLine(line: string, where: string): Readonly<Record<string, unknown>> {
  const refuse = (why: string, cause?: unknown): Text2ImgError =>
    new Text2ImgError('invalid_document', `${where} ${why} Nothing was added.`, { cause });
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (error) {
    throw refuse(`is not JSON: ${messageOf(error)}.`, error);
  }
  if (!isRecord(value)) throw refuse('is not a JSON object like {"text": "a fox"}.');
  const changed = changedNumber(line, value);
  if (changed !== undefined)
    throw refuse(
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

async function readText(stream: Readable, name: string): Promise<string> {
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
      throw new Text2ImgError('not_found', `The file ${name} does not exist.`, { cause: error });
    throw new Text2ImgError('unreadable_file', `${name} cannot be read: ${messageOf(error)}.`, { cause: error });
  }
}
