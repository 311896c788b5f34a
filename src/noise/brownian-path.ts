/**
 * A Brownian path that a seed decides: increments over any interval. They do not depend on the order in which they are asked for. Intervals are halved until their
 * ends are met; each half's normals have a seed of their own.
 * Source: torchsde _brownian/brownian_interval.py, BrownianInterval with tol=1e-6, pool_size=24 and halfway_tree=True.
 */
import { seedWords } from './seed-sequence.ts';
import { TorchCpuGenerator } from './torch-cpu-random.ts';

const f32 = Math.fround;
const DIGITS = 6;
/** Of a float64 that lies between two numbers of 6 digits, there are fewer. */
const EXACT_DIGITS = 60;

/** One interval of the path, and its halves as soon as they are needed. */
interface Piece {
  readonly from: number;
  readonly to: number;
  /** Its place in the tree. */
  readonly key: number;
  readonly depth: number;
  readonly increment: Float32Array;
  halves?: readonly [Piece, Piece];
}

export class BrownianPath {
  readonly #seed: number;
  readonly #root: Piece;

  /** @param interval its ends upwards @param count how many paths beside each other */
  constructor(seed: number, interval: { readonly from: number; readonly to: number }, count: number) {
    this.#seed = seed;
    const { from, to } = interval;
    const [rootSeed = 0] = seedWords(seed, [], 3);
    const deviation = Math.sqrt(to - from);
    const increment = new TorchCpuGenerator(rootSeed).next(count).map((value) => value * deviation);
    this.#root = { from: rounded(from), to: rounded(to), key: 0, depth: 0, increment };
  }

  /** How far the paths go from one point to a later one; points beyond the ends count as the ends. */
  increment(from: number, to: number): Float32Array {
    const { from: least, to: most } = this.#root;
    const [start, end] = [from, to].map((point) => rounded(Math.min(Math.max(point, least), most))) as [number, number];
    return this.#within(this.#root, start, end) ?? new Float32Array(this.#root.increment.length);
  }

  /** @returns undefined for an interval without length */
  #within(piece: Piece, from: number, to: number): Float32Array | undefined {
    if (from >= to) return undefined;
    if (from === piece.from && to === piece.to) return piece.increment;
    piece.halves ??= this.#halvesOf(piece);
    const [left, right] = piece.halves;
    const first = this.#within(left, Math.max(from, left.from), Math.min(to, left.to));
    const second = this.#within(right, Math.max(from, right.from), Math.min(to, right.to));
    if (first === undefined || second === undefined) return first ?? second;
    return first.map((value, index) => value + (second[index] as number));
  }

  #halvesOf({ from, to, key, depth, increment }: Piece): readonly [Piece, Piece] {
    const middle = rounded(0.5 * (to + from));
    const [seed = 0] = seedWords(this.#seed, [key, depth], 4);
    const [length, before, after] = [1 / (to - from), middle - from, to - middle];
    const deviation = Math.sqrt(before * after * length);
    const noise = new TorchCpuGenerator(seed).next(increment.length);
    const left = increment.map(
      (value, index) => f32(f32(before * value) * length) + f32(deviation * (noise[index] as number)),
    );
    const right = increment.map((value, index) => value - (left[index] as number));
    return [
      { from, to: middle, key: 2 * key, depth: depth + 1, increment: left },
      { from: middle, to, key: 2 * key + 1, depth: depth + 1, increment: right },
    ];
  }
}

/** Python's round: of two equally near numbers the even one. Halves of halves often lie exactly between two. */
function rounded(point: number): number {
  const exact = point.toFixed(EXACT_DIGITS);
  const [kept, rest] = [exact.slice(0, DIGITS - EXACT_DIGITS), exact.slice(DIGITS - EXACT_DIGITS)];
  const isTie = /^50*$/.test(rest);
  return Number(isTie && Number(kept.at(-1)) % 2 === 0 ? kept : point.toFixed(DIGITS));
}
