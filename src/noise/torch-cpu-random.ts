/**
 * The normals that `torch.randn(n, generator=torch.Generator().manual_seed(seed))` gives on a CPU: the noise that a seed stands for.
 * Source: ATen/core/MT19937RNGEngine.h (MT19937), ATen/native/cpu/DistributionTemplates.h, normal_fill (n ≥ 16) and
 * ATen/core/DistributionsHelper.h, normal_distribution (n < 16). Every number has the bits that torch gives it on a processor with AVX2. On others
 * torch's own numbers differ from these in the last bits.
 */

import { logarithms, sinesAndCosines } from './cephes-float32.ts';
import type { NoiseSource } from './noise-source.ts';

const STATE_WORDS = 624;
const SHIFT_WORDS = 397;
const BLOCK = 16;
const HALF_BLOCK = BLOCK / 2;
const TWO_PI = Math.fround(2 * Math.PI);

/** One stream of noise; the numbers taken before decide the next ones. */
export class TorchCpuGenerator implements NoiseSource {
  readonly #state = new Uint32Array(STATE_WORDS);
  #position = STATE_WORDS;
  /** The small path makes normals in pairs and keeps the second for the next call. */
  #cachedNormal: number | undefined;

  /** @param seed 0 … 2^53 − 1, of which the low 32 bits count */
  constructor(seed: number) {
    const state = this.#state;
    state[0] = seed % 2 ** 32;
    for (let index = 1; index < STATE_WORDS; index++) {
      const previous = state[index - 1] as number;
      state[index] = Math.imul(1812433253, previous ^ (previous >>> 30)) + index;
    }
  }

  /** Standard normals, as many as `count`, in the order of the flattened tensor. */
  next(count: number): Float32Array {
    return count < BLOCK ? this.#fewNormals(count) : this.#manyNormals(count);
  }

  /** The next 32 random bits. */
  randomUint32(): number {
    if (this.#position === STATE_WORDS) this.#twist();
    let bits = this.#state[this.#position++] as number;
    bits ^= bits >>> 11;
    bits ^= (bits << 7) & 0x9d2c5680;
    bits ^= (bits << 15) & 0xefc60000;
    bits ^= bits >>> 18;
    return bits >>> 0;
  }

  #twist(): void {
    const state = this.#state;
    for (let index = 0; index < STATE_WORDS; index++) {
      const upper = (state[index] as number) & 0x80000000;
      const lower = (state[(index + 1) % STATE_WORDS] as number) & 0x7fffffff;
      const mixed = upper | lower;
      const shifted = state[(index + SHIFT_WORDS) % STATE_WORDS] as number;
      state[index] = shifted ^ (mixed >>> 1) ^ (mixed & 1 ? 0x9908b0df : 0);
    }
    this.#position = 0;
  }

  /** Uniform in [0, 1) with 24 bits, as torch makes a float. */
  #uniform24(): number {
    return (this.randomUint32() & 0xffffff) / 2 ** 24;
  }

  /** Uniform in [0, 1) with 53 bits out of two 32-bit numbers, as torch makes a double. */
  #uniform53(): number {
    const high = this.randomUint32();
    const low = this.randomUint32();
    return ((high & 0x1fffff) * 2 ** 32 + low) / 2 ** 53;
  }

  #manyNormals(count: number): Float32Array {
    const data = new Float32Array(count);
    for (let index = 0; index < count; index++) data[index] = this.#uniform24();
    becomeNormals(data.subarray(0, count - (count % BLOCK)));
    if (count % BLOCK !== 0) {
      // The last 16 values are generated anew, those of the full block before included.
      const start = count - BLOCK;
      for (let index = start; index < count; index++) data[index] = this.#uniform24();
      becomeNormals(data.subarray(start));
    }
    return data;
  }

  #fewNormals(count: number): Float32Array {
    return Float32Array.from({ length: count }, () => {
      const cached = this.#cachedNormal;
      this.#cachedNormal = undefined;
      if (cached !== undefined) return cached;
      const angle = 2 * Math.PI * this.#uniform53();
      const radius = Math.sqrt(-2 * Math.log1p(-this.#uniform53()));
      this.#cachedNormal = radius * Math.sin(angle);
      return radius * Math.cos(angle);
    });
  }
}

/** Box–Muller on blocks of 16 uniforms, in place: of each block the first eight are radii, the last eight angles. */
function becomeNormals(data: Float32Array): void {
  const pairs = data.length / 2;
  const radii = new Float32Array(pairs);
  const angles = new Float32Array(pairs);
  for (let pair = 0; pair < pairs; pair++) {
    const index = firstOfPair(pair);
    radii[pair] = 1 - (data[index] as number);
    angles[pair] = TWO_PI * (data[index + HALF_BLOCK] as number);
  }
  const logs = logarithms(radii);
  const { sines, cosines } = sinesAndCosines(angles);
  for (let pair = 0; pair < pairs; pair++) {
    const index = firstOfPair(pair);
    const radius = Math.fround(Math.sqrt(-2 * (logs[pair] as number)));
    data[index] = radius * (cosines[pair] as number);
    data[index + HALF_BLOCK] = radius * (sines[pair] as number);
  }
}

/** Where the first number of a pair is. The second is half a block later. */
function firstOfPair(pair: number): number {
  return pair + (pair - (pair % HALF_BLOCK));
}
