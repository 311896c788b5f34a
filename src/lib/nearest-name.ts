/** The name that somebody may have meant who typed another one. */

/** Longer words are no slips of the pen. */
const MAX_LENGTH = 60;
/** Two slips in so few letters make any word of another. */
const SHORT_WORD = 4;

/** The name that the fewest slips lead to; of equals the first. Allowed is one slip in three letters begun, and one in a word of four. */
export function nearestName(word: string, names: readonly string[]): string | undefined {
  if (word.length > MAX_LENGTH) return undefined;
  let nearest: string | undefined;
  let fewest = (word.length <= SHORT_WORD ? 1 : Math.ceil(word.length / 3)) + 1;
  for (const name of names) {
    const slips = slipsBetween(word.toLowerCase(), name.toLowerCase());
    if (slips >= fewest) continue;
    fewest = slips;
    nearest = name;
  }
  return nearest;
}

/** For the end of a sentence about a word that is no name. @returns an empty text where nothing is near */
export function didYouMean(word: string, names: readonly string[]): string {
  const near = nearestName(word, names);
  return near === undefined ? '' : ` Did you mean "${near}"?`;
}

/** Letters too many, missing, wrong, or swapped with their neighbour (Damerau's distance, each letter swapped once). */
export function slipsBetween(from: string, to: string): number {
  const rows: number[][] = [Array.from({ length: to.length + 1 }, (_, column) => column)];
  const at = (row: number, column: number): number => rows[row]?.[column] ?? 0;
  for (let row = 1; row <= from.length; row++) {
    const costs = [row];
    rows.push(costs);
    for (let column = 1; column <= to.length; column++) {
      const replaced = at(row - 1, column - 1) + (from[row - 1] === to[column - 1] ? 0 : 1);
      const isSwapped = row > 1 && column > 1 && from[row - 1] === to[column - 2] && from[row - 2] === to[column - 1];
      const swapped = isSwapped ? at(row - 2, column - 2) + 1 : Infinity;
      costs.push(Math.min(replaced, swapped, at(row - 1, column) + 1, at(row, column - 1) + 1));
    }
  }
  return at(from.length, to.length);
}
