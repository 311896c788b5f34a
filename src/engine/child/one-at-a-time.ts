/**
 * Networks that take turns: one set of them at a time is in memory. Before a network of another set runs, those of the set before it free their
 * weights. Their next run opens them again, out of the compile cache where there is one. So results are the same bytes.
 */
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { gigabytesText } from '../../lib/gigabytes.ts';
import { inTurnsBytes, largestOf, type MemoryNeed, togetherBytes } from '../../pipelines/memory-need.ts';
import type { Network, Tensors } from '../../runtime/contract.ts';

type LowMemory = 'auto' | 'on' | 'off';

export interface TurnOptions {
  /** A network that was opened frees its weights until its first run. */
  readonly restAfterOpening: boolean;
}

export class OneAtATime {
  readonly #options: TurnOptions;
  readonly #residents = new Set<Network>();
  #set: string | undefined;
  /** Settled when all runs that were asked for so far are done: two at once would be two networks in memory. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(options: TurnOptions) {
    this.#options = options;
  }

  /** Opens a network while none of another set is in memory. @param set whose networks may be in memory together */
  async open(set: string, open: () => Promise<Network>): Promise<Network> {
    return await this.#inOrder(async () => {
      await this.#makeRoom(set);
      const network = await open();
      if (this.#options.restAfterOpening) await network.rest();
      else this.#residents.add(network);
      return this.#share(set, network);
    });
  }

  #share(set: string, network: Network): Network {
    // A cast: one function serves both signatures of `run`.
    const run = ((inputs: Tensors, options?: { readonly keep: readonly string[] }) =>
      this.#inOrder(async () => {
        await this.#makeRoom(set);
        this.#residents.add(network);
        return await (options === undefined ? network.run(inputs) : network.run(inputs, options));
      })) as Network['run'];
    return {
      run,
      rest: () => this.#inOrder(() => network.rest()),
      [Symbol.asyncDispose]: () => this.#inOrder(async () => await network[Symbol.asyncDispose]()),
    };
  }

  async #makeRoom(set: string): Promise<void> {
    if (this.#set === set) return;
    for (const network of this.#residents) await network.rest();
    this.#residents.clear();
    this.#set = set;
  }

  #inOrder<T>(action: () => Promise<T>): Promise<T> {
    const result = this.#last.then(action);
    this.#last = result.catch(() => undefined);
    return result;
  }
}

export interface ResidencyQuestion {
  readonly lowMemory: LowMemory;
  /** Of each network at the model's default size. */
  readonly needs: readonly MemoryNeed[];
  /** undefined: nobody knows, so everything fits. */
  readonly freeBytes: number | undefined;
  /** The memory's: of a GPU that has its own. Absent: the machine's. */
  readonly device?: string;
}

/**
 * Whether networks take turns, and in `auto` the reason for it, as a sentence for the log.
 * @throws `out_of_memory` where the weights of the largest network alone do not fit
 */
export function takeTurns({ lowMemory, needs, freeBytes = Infinity }: ResidencyQuestion): boolean | string {
  requireLargest({ needs, freeBytes });
  if (lowMemory !== 'auto') return lowMemory === 'on';
  const together = togetherBytes(needs);
  if (together <= freeBytes) return false;
  return (
    `One network at a time is in memory (--low-memory auto): at the model's own size all need up to ${gigabytesText(together)} together, ` +
    `the largest ${gigabytesText(inTurnsBytes(needs))}, and ${gigabytesText(freeBytes)} are free.`
  );
}

/** @throws `out_of_memory` where the weights of the largest network alone do not fit */
export function requireLargest({ needs, freeBytes = Infinity, device }: Omit<ResidencyQuestion, 'lowMemory'>): void {
  const largest = largestOf(needs);
  if (largest === undefined || largest.weightBytes <= freeBytes) return;
  throw new Text2ImgError(
    'out_of_memory',
    `the model does not fit: the weights of ${largest.network} alone need ${gigabytesText(largest.weightBytes)}, and ${gigabytesText(freeBytes)} are free${device === undefined ? '.' : ` on ${device}. "nvidia-smi" shows which programs use the rest.`}`,
  );
}
