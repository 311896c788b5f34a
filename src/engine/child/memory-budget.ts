/**
 * Compares what runs need with what is free, before they are made, and watches each network: how much the process grew. Where the system does not say
 * what is free, everything fits.
 */
import { freeMemoryBytes } from '../../lib/free-memory.ts';
import { anonymousBytes } from '../../lib/own-memory.ts';
import type { PlannedRun, RunSizes, Shortage } from '../../pipelines/family.ts';
import type { Network, Tensors } from '../../runtime/contract.ts';
import type { NetworkMemory } from './network-memory.ts';

export interface MemoryBudgetOptions {
  /** One network at a time is in memory. */
  readonly oneAtATime: boolean;
  /** undefined: nobody knows. */
  readonly freeBytes?: () => number | undefined;
}

interface WantedRun extends Pick<PlannedRun, 'sizes' | 'keptBytes'> {
  readonly memory: NetworkMemory;
}

export class MemoryBudget {
  readonly #options: MemoryBudgetOptions;
  readonly #watched = new Set<NetworkMemory>();

  constructor(options: MemoryBudgetOptions) {
    this.#options = options;
  }

  /** @returns of the first run that does not fit after those before it */
  shortage(runs: readonly WantedRun[]): Shortage | undefined {
    const { oneAtATime, freeBytes: ask = freeMemoryBytes } = this.#options;
    const wanted = runs.filter(({ memory, sizes }) => !memory.hasRun(sizes));
    const free = wanted.length === 0 ? undefined : ask();
    if (free === undefined) return undefined;
    // The network in memory frees it before another one runs.
    const returned = oneAtATime ? [...this.#watched].reduce((sum, { heldBytes }) => sum + heldBytes, 0) : 0;
    let grownBytes = 0;
    for (const { memory, sizes, keptBytes = 0 } of wanted) {
      const activationBytes = memory.activationBytes(sizes) + keptBytes;
      const needBytes = memory.weightBytes + activationBytes;
      // Weights that are mapped and in memory count as free.
      const freeBytes = free - grownBytes + (oneAtATime ? returned : memory.heldBytes);
      if (needBytes > freeBytes) return { needBytes, freeBytes: Math.max(0, freeBytes) };
      if (!oneAtATime) grownBytes += Math.max(0, activationBytes - memory.heldByRunsBytes);
    }
    return undefined;
  }

  /** Opens a network, and watches it from then on. */
  async watch(memory: NetworkMemory, open: () => Promise<Network>): Promise<Network> {
    this.#watched.add(memory);
    const before = anonymousBytes();
    const network = await open();
    memory.loaded(grownSince(before) ?? 0);
    return watched(network, memory);
  }
}

function watched(network: Network, memory: NetworkMemory): Network {
  let isAwake = true;
  // A cast: one function serves both signatures of `run`.
  const run = (async (inputs: Tensors, options?: { readonly keep: readonly string[] }) => {
    const before = anonymousBytes();
    const outputs = await (options === undefined ? network.run(inputs) : network.run(inputs, options));
    const grown = grownSince(before);
    if (!isAwake) memory.loaded(grown ?? 0);
    memory.ran(sizesOf(inputs), isAwake ? grown : undefined);
    isAwake = true;
    return outputs;
  }) as Network['run'];
  return {
    run,
    rest: async () => {
      await network.rest();
      isAwake = false;
      memory.rested();
    },
    [Symbol.asyncDispose]: async () => {
      await network[Symbol.asyncDispose]();
      memory.rested();
    },
  };
}

function grownSince(before: number | undefined): number | undefined {
  const now = anonymousBytes();
  return now === undefined || before === undefined ? undefined : now - before;
}

/** Latents are the tensors with four dimensions: batch, channels, height, width. */
function sizesOf(inputs: Tensors): RunSizes {
  const latents = Object.values(inputs).find(({ shape }) => shape.length === 4);
  if (latents === undefined) return {};
  const [batch = 1, , height = 1, width = 1] = latents.shape;
  return { batch, height, width };
}
