/**
 * The memory of one network: what runs need, by the graph and by earlier runs, and what it holds already. ONNX Runtime keeps what a run took for the
 * next one, so a network grows with its largest run.
 */
import type { RunSizes } from '../../pipelines/family.ts';
import { takenBytes } from '../../pipelines/memory-need.ts';

/** A run that made its network grow. */
export interface Measurement {
  /** By the graph: what lives at once. */
  readonly livingBytes: number;
  /** Taken by all runs so far, this one included. */
  readonly takenBytes: number;
}

export interface NetworkMemoryOptions {
  readonly weightBytes: number;
  /** The bytes that live at once in a run of these sizes, by the graph. */
  readonly livingAt: (sizes: RunSizes) => number;
  /** Of earlier processes. */
  readonly known?: readonly Measurement[];
  readonly onMeasured?: (measurements: readonly Measurement[]) => void;
}

/** A run that grows its network by less is as large as the one before it. */
const NOTICED = 1.02;

/** A run that took less than lives at once found the rest in memory that loading had left over, which another process has not. */
const isWhole = (one: Measurement): boolean => one.takenBytes >= one.livingBytes;

export class NetworkMemory {
  readonly #options: NetworkMemoryOptions;
  readonly #living = new Map<string, number>();
  readonly #made = new Set<string>();
  #measurements: readonly Measurement[];
  #loadedBytes = 0;
  #runBytes = 0;
  #largestLivingBytes = 0;
  /** No run since the network was loaded was left out. */
  #isCounted = true;

  constructor(options: NetworkMemoryOptions) {
    this.#options = options;
    this.#measurements = (options.known ?? []).filter(isWhole);
  }

  get weightBytes(): number {
    return this.#options.weightBytes;
  }

  /** That belongs to no file: of weights that are mapped nearly nothing. */
  get heldBytes(): number {
    return this.#loadedBytes + this.#runBytes;
  }

  /** Taken by its runs so far. */
  get heldByRunsBytes(): number {
    return this.#runBytes;
  }

  /** A run of these sizes was made in this process. */
  hasRun(sizes: RunSizes): boolean {
    return this.#made.has(keyOf(sizes));
  }

  /** A run of these sizes, or one that needs at least as much, was made since the network was loaded. */
  hasRunLarger(sizes: RunSizes): boolean {
    return this.hasRun(sizes) || (this.#largestLivingBytes > 0 && this.#livingAt(sizes) <= this.#largestLivingBytes);
  }

  /** Certain: what lives at once in a run of these sizes. */
  leastBytes(sizes: RunSizes): number {
    return this.#livingAt(sizes);
  }

  /** An upper estimate of a run of these sizes, without the weights. */
  activationBytes(sizes: RunSizes): number {
    const living = this.#livingAt(sizes);
    // Some runtimes take a constant beside, such as OpenVINO for its kernels.
    const more = this.#measurements.map((one) => one.takenBytes - takenBytes(one.livingBytes));
    const byGraph = takenBytes(living) + Math.max(0, ...more);
    // A run takes no more than a larger one did.
    const larger = this.#measurements.filter(({ livingBytes }) => livingBytes >= living).map((one) => one.takenBytes);
    return Math.ceil(Math.min(byGraph, ...larger));
  }

  loaded(grownBytes: number): void {
    this.#loadedBytes = Math.max(0, grownBytes);
    this.#runBytes = 0;
    this.#largestLivingBytes = 0;
    this.#isCounted = true;
  }

  /** All of it is free again. */
  rested(): void {
    this.loaded(0);
  }

  /** @param grownBytes undefined: it was loaded anew before the run, or nobody knows */
  ran(sizes: RunSizes, grownBytes: number | undefined): void {
    // Documents may ask for any size. One that is forgotten is compared with the free memory again.
    if (this.#made.size >= MOST_SIZES) this.#made.clear();
    this.#made.add(keyOf(sizes));
    if (grownBytes === undefined) {
      this.#isCounted = false;
      return;
    }
    const before = this.#runBytes;
    this.#runBytes = Math.max(before, before + grownBytes);
    const livingBytes = this.#livingAt(sizes);
    this.#largestLivingBytes = Math.max(this.#largestLivingBytes, livingBytes);
    // Only the largest run so far shows in the sum of all.
    const isLargest = livingBytes >= this.#largestLivingBytes && this.#runBytes > before * NOTICED;
    const measurement = { livingBytes, takenBytes: this.#runBytes };
    if (!this.#isCounted || !isLargest || !isWhole(measurement)) return;
    const others = this.#measurements.filter((one) => one.livingBytes !== livingBytes);
    this.#measurements = [...others, measurement].slice(-MOST_MEASUREMENTS);
    this.#options.onMeasured?.(this.#measurements);
  }

  #livingAt(sizes: RunSizes): number {
    const key = keyOf(sizes);
    const known = this.#living.get(key);
    if (known !== undefined) return known;
    const living = this.#options.livingAt(sizes);
    if (this.#living.size >= MOST_SIZES) this.#living.clear();
    this.#living.set(key, living);
    return living;
  }
}

const MOST_MEASUREMENTS = 32;
const MOST_SIZES = 500;

function keyOf({ batch = 1, height = 0, width = 0 }: RunSizes): string {
  return `${batch}x${height}x${width}`;
}
