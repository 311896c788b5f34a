/** What an asynchronous source yields, until its end. `Array.fromAsync` does the same, but TypeScript's ES2024 does not know it. */
export async function allOf<T>(source: AsyncIterable<T>): Promise<readonly T[]> {
  const all: T[] = [];
  for await (const one of source) all.push(one);
  return all;
}
