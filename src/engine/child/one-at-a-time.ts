/**
 * Networks that take turns: one at a time is in memory. Before another one runs, the one before it frees its weights. Its next run opens it again, out
 * of the compile cache where there is one. So results are the same bytes.
 */
import type { Network, Tensors } from '../../runtime/contract.ts';

type LowMemory = 'auto' | 'on' | 'off';

export class OneAtATime {
  #resident: Network | undefined;
  /** Settled when all runs that were asked for so far are done: two at once would be two networks in memory. */
  #last: Promise<unknown> = Promise.resolve();

  /** Opens a network while no other one is in memory, and lets it rest. */
  async open(open: () => Promise<Network>): Promise<Network> {
    return await this.#inOrder(async () => {
      await this.#resident?.rest();
      this.#resident = undefined;
      const network = await open();
      await network.rest();
      return this.#share(network);
    });
  }

  #share(network: Network): Network {
    // A cast: one function serves both signatures of `run`.
    const run = ((inputs: Tensors, options?: { readonly keep: readonly string[] }) =>
      this.#inOrder(async () => {
        await this.#makeResident(network);
        return await (options === undefined ? network.run(inputs) : network.run(inputs, options));
      })) as Network['run'];
    return {
      run,
      rest: () => this.#inOrder(() => network.rest()),
      [Symbol.asyncDispose]: () => this.#inOrder(async () => await network[Symbol.asyncDispose]()),
    };
  }

  async #makeResident(network: Network): Promise<void> {
    if (this.#resident === network) return;
    await this.#resident?.rest();
    this.#resident = network;
  }

  #inOrder<T>(action: () => Promise<T>): Promise<T> {
    const result = this.#last.then(action);
    this.#last = result.catch(() => undefined);
    return result;
  }
}

export interface ResidencyQuestion {
  readonly lowMemory: LowMemory;
  /** Of each network, in the type that it computes in. */
  readonly weightBytes: readonly number[];
  readonly freeBytes: number;
}

/** Whether networks take turns, and in `auto` the reason for it, as a sentence for the log. */
export function takeTurns({ lowMemory, weightBytes, freeBytes }: ResidencyQuestion): boolean | string {
  if (lowMemory !== 'auto') return lowMemory === 'on';
  const sum = weightBytes.reduce((total, bytes) => total + bytes, 0);
  if (sum <= freeBytes || Math.max(...weightBytes) > freeBytes) return false;
  return `One network at a time is in memory (--low-memory auto): all need ${gb(sum)}, the largest ${gb(Math.max(...weightBytes))}, and ${gb(freeBytes)} are free.`;
}

function gb(bytes: number): string {
  return `${(bytes / 1e9).toFixed(1)} GB`;
}
