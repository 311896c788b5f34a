/**
 * Text from documents and files, made safe for a terminal: control characters (which could move the cursor or fake a line) are escaped.
 */

// oxlint-disable-next-line no-control-regex
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;

export function printable(text: string): string {
  return text.replaceAll(CONTROL, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** At most `length` characters of it. */
export function excerpt(text: string, length: number): string {
  const characters = Array.from(text.slice(0, length * 2));
  const short =
    characters.length <= length && text.length <= length * 2
      ? characters.join('')
      : `${characters.slice(0, length - 1).join('')}…`;
  return printable(short);
}
