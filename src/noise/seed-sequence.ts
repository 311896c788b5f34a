/**
 * numpy's SeedSequence: random words that follow from a seed and a place in a tree. Source: numpy random/bit_generator.pyx, SeedSequence (after
 * M. E. O'Neill's seed_seq_fe).
 */

const POOL_WORDS = 24;

/** A constant that changes with every word that is hashed. */
class Hash {
  #constant: number;
  readonly #factor: number;

  constructor(constant: number, factor: number) {
    this.#constant = constant;
    this.#factor = factor;
  }

  of(word: number): number {
    const mixed = word ^ this.#constant;
    this.#constant = Math.imul(this.#constant, this.#factor);
    return folded(Math.imul(mixed, this.#constant));
  }
}

function folded(word: number): number {
  return (word ^ (word >>> 16)) >>> 0;
}

function mix(one: number, other: number): number {
  return folded((Math.imul(0xca01f9dd, one) - Math.imul(0x4973f715, other)) | 0);
}

/** @returns the words of a whole number, lowest first; one at least */
function wordsOf(value: number): number[] {
  return value < 2 ** 32 ? [value] : [value % 2 ** 32, ...wordsOf(Math.floor(value / 2 ** 32))];
}

/**
 * The first `count` words of `SeedSequence(seed, spawn_key=spawnKey, pool_size=24).generate_state(count)`.
 * @param seed 0 … 2^53 − 1 @param spawnKey empty for the root
 */
export function seedWords(seed: number, spawnKey: readonly number[], count: number): number[] {
  const own = wordsOf(seed);
  const padding = spawnKey.length === 0 ? 0 : Math.max(0, POOL_WORDS - own.length);
  const entropy = [...own, ...Array.from({ length: padding }, () => 0), ...spawnKey.flatMap(wordsOf)];
  const hash = new Hash(0x43b0d7e5, 0x931e8875);
  const pool = Array.from({ length: POOL_WORDS }, (_, index) => hash.of(entropy[index] ?? 0));
  for (const source of pool.keys())
    for (const target of pool.keys())
      if (source !== target) pool[target] = mix(pool[target] as number, hash.of(pool[source] as number));
  for (const word of entropy.slice(POOL_WORDS))
    for (const target of pool.keys()) pool[target] = mix(pool[target] as number, hash.of(word));
  const output = new Hash(0x8b51f9dd, 0x58f38ded);
  return Array.from({ length: count }, (_, index) => output.of(pool[index % POOL_WORDS] as number));
}
