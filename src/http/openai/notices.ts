/** Headers that name what had no effect and what was changed. They are ASCII, and short enough for every client. */
import { boundedSentences, cut } from '../../lib/foreign-text.ts';

export interface Notices {
  /** Names of fields in the body. */
  readonly ignored: readonly string[];
  /** Sentences. */
  readonly warnings: readonly string[];
}

const MOST_NAMES = 50;
const NAME_LENGTH = 60;
const MOST_SENTENCES = 8;
/** Node reads headers of 16 kB together, and proxies often 4 or 8 kB. */
const HEADER_LENGTH = 2000;

/** `text2img-ignored`: names with commas between them. `text2img-warnings`: sentences with a blank between them. Absent where there are none. */
export function noticeHeaders({ ignored, warnings }: Notices): Readonly<Record<string, string>> {
  const names = [...new Set(ignored)].slice(0, MOST_NAMES).map((name) => ascii(cut(name, NAME_LENGTH), /[^\w.-]/gu));
  const sentences = boundedSentences(warnings, MOST_SENTENCES).map((sentence) => ascii(sentence, /[^\x20-\x7e]|%/gu));
  return {
    ...(names.length === 0 ? {} : { 'text2img-ignored': whole(names, ', ') }),
    ...(sentences.length === 0 ? {} : { 'text2img-warnings': whole(sentences, ' ') }),
  };
}

/** A text of any kind as a header's value. */
export function headerText(text: string): string {
  return ascii(cut(text, HEADER_LENGTH), /[^\x21-\x7e]|%/gu);
}

const PLAIN_MARKS: Readonly<Record<string, string>> = { '’': "'", '…': '...', '×': 'x', '−': '-' };

/** The rest as percent signs and hexadecimal UTF-8, as in URLs. */
function ascii(text: string, others: RegExp): string {
  return text.replaceAll(others, (character) => PLAIN_MARKS[character] ?? percentEncoded(character));
}

/** `encodeURIComponent` leaves some marks as they are, and refuses half a surrogate pair. */
function percentEncoded(character: string): string {
  return [...Buffer.from(character)].map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join('');
}

/** As many as fit, whole. */
function whole(parts: readonly string[], separator: string): string {
  let text = '';
  for (const part of parts) {
    const longer = text === '' ? part : `${text}${separator}${part}`;
    if (longer.length > HEADER_LENGTH) break;
    text = longer;
  }
  return text;
}
