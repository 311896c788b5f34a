/** The part of a page that a program writes, between two marks. */

interface Marks {
  readonly begin: string;
  readonly end: string;
}

/** @returns the page with `text` between the marks @throws where the page has no such marks */
export function between(page: string, { begin, end }: Marks, text: string): string {
  const [before, rest] = cutAt(page, begin);
  const [, after] = cutAt(rest, end);
  return `${before}${begin}\n\n${text}\n\n${end}${after}`;
}

function cutAt(text: string, mark: string): readonly [string, string] {
  const at = text.indexOf(mark);
  if (at === -1) throw new Error(`the page has no ${mark}`);
  return [text.slice(0, at), text.slice(at + mark.length)];
}
