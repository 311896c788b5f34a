/** Reads a JSON body: UTF-8, bounded in depth. No sentence quotes the body, which may hold anything. */
import { Text2ImgError } from '../../errors/text2img-error.ts';

/** MongoDB keeps 100 levels; requests need a few. */
const MAX_DEPTH = 64;
const [QUOTE, BACKSLASH] = [0x22, 0x5c];
const OPENING: ReadonlySet<number> = new Set([0x5b, 0x7b]);
const CLOSING: ReadonlySet<number> = new Set([0x5d, 0x7d]);

/** @returns undefined for an empty body @throws `invalid_body` */
export function readJson(bytes: Uint8Array): unknown {
  if (bytes.length === 0) return undefined;
  // Before the parser makes objects of it.
  if (isDeeper(bytes)) throw invalid(`is nested deeper than ${MAX_DEPTH} levels`);
  const text = decode(bytes);
  if (text.trim() === '') return undefined;
  try {
    return JSON.parse(text);
  } catch (error) {
    throw invalid(`is not JSON${placeOf(error)}`);
  }
}

function decode(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw invalid('is not UTF-8');
  }
}

function isDeeper(bytes: Uint8Array): boolean {
  let depth = 0;
  let isText = false;
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at] ?? 0;
    if (isText) {
      if (byte === BACKSLASH) at++;
      else if (byte === QUOTE) isText = false;
    } else if (byte === QUOTE) isText = true;
    else if (OPENING.has(byte) && ++depth > MAX_DEPTH) return true;
    else if (CLOSING.has(byte)) depth--;
  }
  return false;
}

/** The parser's own sentence quotes the body; only its position is taken. */
function placeOf(error: unknown): string {
  const position = /at position (\d+)/.exec(error instanceof Error ? error.message : '')?.[1];
  return position === undefined ? '' : ` at character ${position}`;
}

function invalid(what: string): Text2ImgError {
  return new Text2ImgError('invalid_body', `The body ${what}. Send a JSON object in UTF-8.`);
}
