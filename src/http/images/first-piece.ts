/** An answer that is written piece by piece still has a status until its first piece is there. */

/**
 * The same pieces, the first of which has come. No generator: one that was not begun would not pass on that its reader left, and a file would stay open.
 * @throws what the source throws before its first piece
 */
export async function withFirst<T>(pieces: AsyncGenerator<T, void>): Promise<AsyncIterableIterator<T, void>> {
  let first: IteratorResult<T, void> | undefined = await pieces.next();
  const all: AsyncIterableIterator<T, void> = {
    async next() {
      const come = first;
      first = undefined;
      return come ?? pieces.next();
    },
    return: () => pieces.return(),
    [Symbol.asyncIterator]: () => all,
  };
  return all;
}
