/**
 * Text from outside on its way into a message, a log line or a terminal. It comes from documents, checkpoints, servers, file names and the user's own
 * options. It is escaped, so that it cannot move the cursor, fake a line or turn the direction of reading. It is bounded, so that one value never
 * fills a page. All functions take linear time in what they keep, independent of the length of their input.
 */
import { withoutSecrets } from './secrets.ts';

/**
 * Characters that a terminal or a reader would obey instead of showing: C0 and C1 controls, line and paragraph separators, marks and overrides of the
 * writing direction, and halves of surrogate pairs.
 */
const OBEYED =
  // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
  /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;

/** The length of a value quoted in a sentence. */
const QUOTED_LENGTH = 120;
/** The length of a whole sentence: as a line, with the program's name and a code, it stays below 600. */
const SENTENCE_LENGTH = 560;
/** The length of text that is searched before it is cut to the shown length: a secret is found before it is cut in half. */
export const READ_LENGTH = 4000;
/** How many sentences of one kind are shown. */
const MOST_SENTENCES = 20;
/** Nobody reads deeper than this in a quoted value. */
const QUOTED_DEPTH = 4;

/** Line ends included: a line end stands only where we write it. */
export function printable(text: string): string {
  return text.replaceAll(OBEYED, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** At most `length` UTF-16 units, an ellipsis included where something is missing; never half of a surrogate pair. */
export function cut(text: string, length: number): string {
  if (text.length <= length) return text;
  const end = Math.max(0, length - 1);
  const splitsPair = /[\ud800-\udbff]/.test(text.charAt(end - 1));
  return `${text.slice(0, splitsPair ? end - 1 : end)}…`;
}

/** At most `length` UTF-16 units of it, escaped. */
export function excerpt(text: string, length: number): string {
  // Cut before it is escaped, for the time, and after, for the length.
  return cut(printable(cut(text, length)), length);
}

/**
 * A value of any kind as a sentence quotes it: text in quotation marks, the rest as in JSON, escaped and at most `length` long. Never throws,
 * however deep or cyclic the value is.
 */
export function quote(value: unknown, length = QUOTED_LENGTH): string {
  if (typeof value === 'string') {
    const escaped = printable(JSON.stringify(cut(value, length)).slice(1, -1));
    return `"${cut(escaped, length)}"`;
  }
  return excerpt(jsonLike(value, QUOTED_DEPTH, length), length);
}

/** An error's or a warning's sentence: without secrets, escaped and at most 560 characters. */
export function boundedSentence(text: string, length = SENTENCE_LENGTH): string {
  return excerpt(withoutSecrets(cut(text, READ_LENGTH)), length);
}

/** Sentences of one kind, bounded each and in number; the last one says how many are left out. */
export function boundedSentences(texts: readonly string[], most = MOST_SENTENCES): string[] {
  if (texts.length <= most) return texts.map((text) => boundedSentence(text));
  const shown = texts.slice(0, most - 1).map((text) => boundedSentence(text));
  return [...shown, `${texts.length - shown.length} more of these are not shown.`];
}

/** JSON, cut at `depth` levels and at about `length` characters; other values than JSON's as `String` gives them. */
function jsonLike(value: unknown, depth: number, length: number): string {
  if (typeof value === 'string') return JSON.stringify(cut(value, length));
  if (typeof value !== 'object' || value === null) return typeof value === 'function' ? 'a function' : String(value);
  const isArray = Array.isArray(value) || ArrayBuffer.isView(value);
  if (depth === 0) return isArray ? '[…]' : '{…}';
  let text = '';
  // The names only: a list of a million pairs would be made for the few that are kept.
  const names = isArray ? undefined : Object.keys(value);
  const count = names?.length ?? (value as ArrayLike<unknown>).length;
  for (let index = 0; index < count && text.length <= length; index++) {
    const name = names?.[index];
    const element = (value as Readonly<Record<string, unknown>>)[name ?? index];
    const label = name === undefined ? '' : `${JSON.stringify(cut(name, length))}:`;
    text += `${index === 0 ? '' : ','}${label}${jsonLike(element, depth - 1, length)}`;
  }
  return isArray ? `[${text}]` : `{${text}}`;
}
