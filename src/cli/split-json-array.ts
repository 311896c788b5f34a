/** Splits the text of a JSON array into its elements' texts, so that each is parsed, checked and named by itself. */

const QUOTE = 0x22;
const COMMA = 0x2c;
const OPENING_BRACKET = 0x5b;
const BACKSLASH = 0x5c;
const CLOSING_BRACKET = 0x5d;
const OPENING_BRACE = 0x7b;
const CLOSING_BRACE = 0x7d;

/**
 * Does not parse the elements: the caller does, and finds the errors in them.
 * @param text begins with a bracket, after white space
 * @returns undefined where the array has no end, or something stands behind it
 */
export function splitJsonArray(text: string): readonly string[] | undefined {
  const elements: string[] = [];
  const begin = text.indexOf('[') + 1;
  let start = begin;
  let depth = 0;
  for (let at = begin; at < text.length; at++) {
    const character = text.charCodeAt(at);
    if (character === QUOTE) at = endOfString(text, at);
    else if (character === OPENING_BRACKET || character === OPENING_BRACE) depth++;
    else if (depth > 0 && (character === CLOSING_BRACKET || character === CLOSING_BRACE)) depth--;
    else if (depth === 0 && (character === COMMA || character === CLOSING_BRACKET)) {
      elements.push(text.slice(start, at).trim());
      start = at + 1;
      if (character === COMMA) continue;
      if (text.slice(start).trim() !== '') return undefined;
      return elements.length === 1 && elements[0] === '' ? [] : elements;
    }
  }
  return undefined;
}

/** @returns the place of the closing quotation mark, or the end of the text */
function endOfString(text: string, begin: number): number {
  for (let at = begin + 1; at < text.length; at++) {
    const character = text.charCodeAt(at);
    if (character === BACKSLASH) at++;
    else if (character === QUOTE) return at;
  }
  return text.length;
}
