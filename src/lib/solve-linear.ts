/** Solves a few linear equations by Gauss' elimination, with the largest pivot of each column. */

/** @param matrix its rows, as many as columns @param right one number a row @returns the unknowns */
export function solveLinear(matrix: readonly (readonly number[])[], right: readonly number[]): number[] {
  const rows = matrix.map((row, index) => [...row, right[index] as number]);
  const size = rows.length;
  for (let column = 0; column < size; column++) {
    const below = rows.slice(column);
    const largest = below.reduce(
      (best, row, index) =>
        Math.abs(row[column] as number) > Math.abs(below[best]?.[column] as number) ? index : best,
      0,
    );
    const pivot = rows[column + largest] as number[];
    rows[column + largest] = rows[column] as number[];
    rows[column] = pivot;
    for (const row of rows.slice(column + 1)) {
      const factor = (row[column] as number) / (pivot[column] as number);
      for (let place = column; place <= size; place++)
        row[place] = (row[place] as number) - factor * (pivot[place] as number);
    }
  }
  const unknowns: number[] = Array.from({ length: size }, () => 0);
  for (let index = size - 1; index >= 0; index--) {
    const row = rows[index] as number[];
    const known = row
      .slice(index + 1, size)
      .reduce((sum, value, place) => sum + value * (unknowns[index + 1 + place] as number), 0);
    unknowns[index] = ((row[size] as number) - known) / (row[index] as number);
  }
  return unknowns;
}
