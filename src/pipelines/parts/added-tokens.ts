/**
 * Finds added tokens in a prompt: the end mark, words that textual inversion added. They are cut out before the text is taken apart.
 * Source: the tokenizers library (Rust), tokenizer/added_vocabulary.rs, find_matches: leftmost and longest first, whole words, and the white
 * space beside a token.
 */

export interface FoundToken {
  readonly content: string;
  readonly id: number;
  readonly single_word: boolean;
  readonly lstrip: boolean;
  readonly rstrip: boolean;
}

/** A piece of text, or a token in its place. */
export type Piece = string | FoundToken;

/** Rust's `\w`. */
const WORD = '[\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\p{Join_Control}]';
const ENDS_WITH_WORD = new RegExp(`${WORD}$`, 'u');
const STARTS_WITH_WORD = new RegExp(`^${WORD}`, 'u');
const WHITE_SPACE = /\p{White_Space}/u;

export class AddedTokenFinder {
  readonly #tokens = new Map<string, FoundToken>();
  readonly #pattern: RegExp | undefined;

  /** @param keyOf the text that stands for a token where it is looked for */
  constructor(tokens: readonly FoundToken[], keyOf: (content: string) => string) {
    for (const token of tokens) {
      const key = keyOf(token.content);
      if (key !== '' && !this.#tokens.has(key)) this.#tokens.set(key, token);
    }
    // Alternatives are tried in their order: the longest first.
    const keys = [...this.#tokens.keys()].toSorted((a, b) => b.length - a.length);
    this.#pattern = keys.length === 0 ? undefined : new RegExp(keys.map(escaped).join('|'), 'gu');
  }

  split(text: string): Piece[] {
    if (this.#pattern === undefined) return text === '' ? [] : [text];
    const pieces: Piece[] = [];
    let from = 0;
    for (const { 0: key, index } of text.matchAll(this.#pattern)) {
      const token = this.#tokens.get(key) as FoundToken;
      let [start, end] = [index, index + key.length];
      if (token.single_word && !standsAlone(text, start, end)) continue;
      if (token.lstrip) while (start > from && WHITE_SPACE.test(text.charAt(start - 1))) start--;
      if (token.rstrip) while (end < text.length && WHITE_SPACE.test(text.charAt(end))) end++;
      if (start > from) pieces.push(text.slice(from, start));
      pieces.push(token);
      from = Math.max(from, end);
    }
    if (from < text.length) pieces.push(text.slice(from));
    return pieces;
  }
}

function escaped(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\/]/g, String.raw`\$&`);
}

function standsAlone(text: string, start: number, end: number): boolean {
  // Two units, because a letter may be a pair.
  return (
    !ENDS_WITH_WORD.test(text.slice(Math.max(0, start - 2), start)) && !STARTS_WITH_WORD.test(text.slice(end, end + 2))
  );
}
