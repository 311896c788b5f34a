/**
 * The layout of a `parameters` text: lines of prompts, then one line of `Name: value` pairs, as AUTOMATIC1111's web UI writes it.
 * `parameters-text.ts` knows the meaning of the names.
 */

/** As in the web UI: a last line with fewer pairs is part of the prompt. */
const MIN_PAIRS = 3;

export interface SplitText {
  /** The prompts' lines. */
  readonly lines: readonly string[];
  readonly pairs: ReadonlyMap<string, string>;
}

/** Line ends may be those of Windows, and some stand behind the last line: other tools' editors put them there. */
export function splitText(text: string): SplitText {
  const lines = text.trimEnd().replaceAll('\r\n', '\n').split('\n');
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

/** As the web UI does: values that would break the line become JSON strings. */
export function quoteValue(value: string): string {
  return /^[^,:"\n\r\0]+$/.test(value) && value.trim() === value && value.isWellFormed()
    ? value
    : JSON.stringify(value);
}
