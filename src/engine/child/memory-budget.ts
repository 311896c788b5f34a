/**
 * Compares what runs need with what is free, before they are made, and watches each network: how much the process grew. Where the system does not say
 * what is free, everything fits.
 */
import { freeMemoryBytes } from '../../lib/free-memory.ts';
import { anonymousBytes } from '../../lib/own-memory.ts';
import type { PlannedRun, RunSizes, Shortage, ShortagePurpose } from '../../pipelines/family.ts';
import type { Network, Tensors } from '../../runtime/contract.ts';
import type { NetworkMemory } from './network-memory.ts';

export interface MemoryBudgetOptions {
  /** One network at a time is in memory. */
  readonly oneAtATime: boolean;
  /** undefined: nobody knows. */
  readonly freeBytes?: () => number | undefined;
  /** Of a device with memory of its own. Absent: networks run in this process' memory. */
  readonly device?: DeviceMeter;
}

/** Each answer takes some time, so it is asked at new sizes only. Estimates are rough until runs are measured. */
export interface DeviceMeter {
  /** undefined: nobody knows. */
  memory(): { readonly freeBytes: number; readonly totalBytes: number } | undefined;
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
  shortage(runs: readonly WantedRun[], purpose: ShortagePurpose = 'plan'): Shortage | undefined {
    const { oneAtATime, device } = this.#options;
    const ask = this.#options.freeBytes ?? (device === undefined ? freeMemoryBytes : () => device.memory()?.freeBytes);
    const isDone = (memory: NetworkMemory, sizes: RunSizes): boolean =>
      device === undefined ? memory.hasRun(sizes) : memory.hasRunLarger(sizes);
    const wanted = runs.filter(({ memory, sizes }) => !isDone(memory, sizes));
    const free = wanted.length === 0 ? undefined : ask();
    if (free === undefined) return undefined;
    // The network in memory frees it before another one runs.
    const returned = oneAtATime ? [...this.#watched].reduce((sum, { heldBytes }) => sum + heldBytes, 0) : 0;
    let grownBytes = 0;
    for (const { memory, sizes, keptBytes = 0 } of wanted) {
      const isRough = device !== undefined && purpose === 'refuse';
      const activationBytes = (isRough ? memory.leastBytes(sizes) : memory.activationBytes(sizes)) + keptBytes;
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
    const { device } = this.#options;
    const before = takenBytes(device);
    const network = await open();
    memory.loaded(grownSince(before, device) ?? 0);
    return watched(network, memory, device);
  }
}

function watched(network: Network, memory: NetworkMemory, device: DeviceMeter | undefined): Network {
  let isAwake = true;
  // A cast: one function serves both signatures of `run`.
  const run = (async (inputs: Tensors, options?: { readonly keep: readonly string[] }) => {
    const sizes = sizesOf(inputs);
    const isMeasured = device === undefined || !isAwake || !memory.hasRun(sizes);
    const before = isMeasured ? takenBytes(device) : undefined;
    const outputs = await (options === undefined ? network.run(inputs) : network.run(inputs, options));
    if (!isMeasured) return outputs;
    const grown = grownSince(before, device);
    if (!isAwake) memory.loaded(grown ?? 0);
    memory.ran(sizes, isAwake ? grown : undefined);
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

/** By this process; on a device by all programs, because the driver does not tell them apart in a container. */
function takenBytes(device: DeviceMeter | undefined): number | undefined {
  if (device === undefined) return anonymousBytes();
  const memory = device.memory();
  return memory === undefined ? undefined : memory.totalBytes - memory.freeBytes;
}

function grownSince(before: number | undefined, device: DeviceMeter | undefined): number | undefined {
  const now = before === undefined ? undefined : takenBytes(device);
  return now === undefined || before === undefined ? undefined : now - before;
}

/** Latents are the tensors with four dimensions: batch, channels, height, width. */
function sizesOf(inputs: Tensors): RunSizes {
  const latents = Object.values(inputs).find(({ shape }) => shape.length === 4);
  if (latents === undefined) return {};
  const [batch = 1, , height = 1, width = 1] = latents.shape;
  return { batch, height, width };
}
