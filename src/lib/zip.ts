/** Two arrays of the same length, pair by pair. */
export function zip<A, B>(left: readonly A[], right: readonly B[]): [A, B][] {
  if (left.length !== right.length)
    throw new RangeError(`${left.length} elements cannot be paired with ${right.length}`);
  return left.map((element, index) => [element, right[index] as B]);
}
