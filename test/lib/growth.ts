/** How the processor time of a function grows with its input. The clock would also count the programs that run beside the tests. */

/** The system counts processor time in ticks of some milliseconds, so a measure takes many of them. */
const ENOUGH_MICROSECONDS = 60_000;
/** A shorter call says little: a text that no longer fits into a usual page of V8's memory costs 0.1 ms more (measured). */
const SHORTEST_MICROSECONDS = 100;

export interface Growing<T> {
  readonly make: (size: number) => T;
  readonly use: (input: T) => unknown;
  readonly size: number;
  readonly factor: number;
}

/** @returns how many times the processor time `use` takes for `factor` times the size: about `factor` if it is linear, its square if it is a square */
export function growthOf<T>({ make, use, size, factor }: Growing<T>): number {
  const small = make(size);
  const large = make(size * factor);
  // Once to have it compiled.
  use(small);
  return (
    microsecondsOf(() => use(large)) /
    Math.max(
      SHORTEST_MICROSECONDS,
      microsecondsOf(() => use(small)),
    )
  );
}

/** Of one call, on average. */
function microsecondsOf(call: () => unknown): number {
  const before = process.threadCpuUsage();
  for (let calls = 1; ; calls++) {
    call();
    const { user, system } = process.threadCpuUsage(before);
    if (user + system >= ENOUGH_MICROSECONDS) return (user + system) / calls;
  }
}

export interface GrowingAsync {
  readonly use: (size: number) => Promise<unknown>;
  readonly size: number;
  readonly factor: number;
}

/** The same for what also waits for files: the wait takes no processor time of this thread. */
export async function growthOfAsync({ use, size, factor }: GrowingAsync): Promise<number> {
  await use(size);
  const small = Math.max(SHORTEST_MICROSECONDS, await microsecondsOfAsync(() => use(size)));
  return (await microsecondsOfAsync(() => use(size * factor))) / small;
}

async function microsecondsOfAsync(call: () => Promise<unknown>): Promise<number> {
  const before = process.threadCpuUsage();
  for (let calls = 1; ; calls++) {
    await call();
    const { user, system } = process.threadCpuUsage(before);
    if (user + system >= ENOUGH_MICROSECONDS) return (user + system) / calls;
  }
}
