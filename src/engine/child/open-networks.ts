/** Opens a checkpoint's networks on a device, each graph of them once per compute type. Closing it closes all that it opened. */
import { omitUndefined } from '../../lib/omit-undefined.ts';
import type { BuiltGraph, ComputeType } from '../../onnx/graph.ts';
import type { LoadTools, OpenNetworkOptions, PlannedRun } from '../../pipelines/family.ts';
import { type WantedGraph, wholeNetwork } from '../../pipelines/prove-fit.ts';
import type { CompileCacheSettings, Network, Runtime } from '../../runtime/contract.ts';
import { keptMeasurements } from './kept-measurements.ts';
import { MemoryBudget, type MemoryBudgetOptions } from './memory-budget.ts';
import { NetworkMemory } from './network-memory.ts';
import { OneAtATime } from './one-at-a-time.ts';

export interface NetworkOpenerOptions {
  readonly runtime: Pick<Runtime, 'open' | 'upload'> & Partial<Pick<Runtime, 'name' | 'version'>>;
  readonly device: string;
  /** Of a GPU, as its maker calls it: measurements of one say nothing about another. */
  readonly deviceName?: string | undefined;
  /** The device computes in this type. */
  readonly computeType: ComputeType;
  /** The graph of a component for a device that computes in this; called once for each. @throws `internal` where there is none */
  readonly graphOf: (component: string, wanted: WantedGraph) => BuiltGraph;
  /** 0: as many as the machine offers. */
  readonly threads: number;
  /** Products of float32 are computed in float32. */
  readonly deterministic?: boolean;
  readonly cache: Pick<CompileCacheSettings, 'folder' | 'verify' | 'limitBytes'>;
  /** One network at a time is in memory. */
  readonly oneAtATime?: boolean;
  /** Compares runs with the memory that is free. Absent: it does not. */
  readonly memory?: Pick<MemoryBudgetOptions, 'freeBytes' | 'device'> & {
    /** The bytes that live at once in a run of a component's graph. */
    readonly livingAt: (component: string, wanted: WantedGraph) => number;
  };
}

/** Smaller networks open faster than their graph is hashed. */
const MIN_KEPT_WEIGHT_BYTES = 100 * 2 ** 20;

export class NetworkOpener implements AsyncDisposable {
  readonly #options: NetworkOpenerOptions;
  readonly #opened = new AsyncDisposableStack();
  readonly #graphs = new Map<string, BuiltGraph>();
  readonly #networks = new Map<string, Promise<Network>>();
  readonly #notes: string[] = [];
  /** Of all networks where one at a time is in memory, else of each component's graphs. */
  readonly #turns = new Map<string, OneAtATime>();
  readonly #memories = new Map<string, NetworkMemory>();
  readonly #budget: MemoryBudget;

  constructor(options: NetworkOpenerOptions) {
    this.#options = options;
    const { oneAtATime = false, memory = {} } = options;
    this.#budget = new MemoryBudget({ oneAtATime, ...memory });
  }

  /** Sentences for the log about opening the networks. */
  get notes(): readonly string[] {
    return this.#notes;
  }

  readonly open: LoadTools['open'] = async (component, { use, computeType = this.#options.computeType, ...choice }) => {
    const graph = this.#graphOf(component, { ...choice, computeType });
    // The graph decides: a network that overflows in float16 is float32 even if float16 was asked for.
    const key = keyOf(component, { ...choice, computeType: graph.computeType });
    const known = this.#networks.get(key);
    if (known !== undefined) return await known;
    const network = this.#inTurns(component, { ...choice, computeType: graph.computeType }, () =>
      this.#openGraph(graph, use, this.#memoryOf(component, { ...choice, computeType })),
    );
    this.#networks.set(key, network);
    // A network that failed to open may be opened again, for example when memory is free.
    network.catch(() => this.#networks.delete(key));
    return await network;
  };

  readonly upload: LoadTools['upload'] = async (tensor) => {
    const { runtime, device } = this.#options;
    return await runtime.upload(tensor, device);
  };

  readonly shortage: NonNullable<LoadTools['shortage']> = (runs, purpose) => {
    const planned = runs.flatMap(
      ({ component, sizes, keptBytes, computeType = this.#options.computeType, ...choice }: PlannedRun) => {
        const memory = this.#memoryOf(component, { ...choice, computeType });
        return memory === undefined ? [] : [{ memory, sizes, ...omitUndefined({ keptBytes }) }];
      },
    );
    return this.#budget.shortage(planned, purpose);
  };

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#opened.disposeAsync();
  }

  #graphOf(component: string, wanted: WantedGraph): BuiltGraph {
    const key = keyOf(component, wanted);
    const graph = this.#graphs.get(key) ?? this.#options.graphOf(component, wanted);
    this.#graphs.set(key, graph);
    return graph;
  }

  #memoryOf(component: string, wanted: WantedGraph): NetworkMemory | undefined {
    const { memory: options, runtime, device, deviceName, threads, cache } = this.#options;
    if (options === undefined) return undefined;
    const graph = this.#graphOf(component, wanted);
    const key = keyOf(component, { ...wanted, computeType: graph.computeType });
    const known = this.#memories.get(key);
    if (known !== undefined) return known;
    const conditions = JSON.stringify([
      runtime.name,
      runtime.version?.(),
      device,
      threads,
      ...(deviceName === undefined ? [] : [deviceName]),
    ]);
    const isKept = cache.folder !== null && graph.weightBytes >= MIN_KEPT_WEIGHT_BYTES;
    const kept = isKept ? keptMeasurements(cache.folder, graph, conditions) : undefined;
    const memory = new NetworkMemory({
      weightBytes: graph.weightBytes,
      livingAt: (sizes) => options.livingAt(component, { ...wanted, sizes }),
      ...(kept === undefined ? {} : { known: kept.known, onMeasured: kept.keep }),
    });
    this.#memories.set(key, memory);
    return memory;
  }

  async #openGraph(
    graph: BuiltGraph,
    use: OpenNetworkOptions['use'],
    memory: NetworkMemory | undefined,
  ): Promise<Network> {
    const { runtime, device, threads, deterministic = false, cache } = this.#options;
    const open = async (): Promise<Network> =>
      this.#opened.use(
        await runtime.open(graph, {
          use,
          computeType: graph.computeType,
          device,
          threads,
          deterministic,
          cache: { ...cache, onNote: (sentence) => void this.#notes.push(sentence) },
        }),
      );
    return memory === undefined ? await open() : await this.#budget.watch(memory, open);
  }

  async #inTurns(component: string, wanted: WantedGraph, open: () => Promise<Network>): Promise<Network> {
    const { oneAtATime: restAfterOpening = false } = this.#options;
    const key = restAfterOpening ? '' : component;
    const turns = this.#turns.get(key) ?? new OneAtATime({ restAfterOpening });
    this.#turns.set(key, turns);
    return await turns.open(restAfterOpening ? oneNetwork(component, wanted) : wholeNetwork(wanted), open);
  }
}

/** A whole network and its shallow graph are needed by turns within an image; every other graph is alone. */
function oneNetwork(component: string, wanted: WantedGraph): string {
  const graph = wanted.branch === undefined ? wanted.graph : undefined;
  return [component, wanted.computeType, wholeNetwork(wanted), graph].join();
}

function keyOf(component: string, wanted: WantedGraph): string {
  return JSON.stringify([component, Object.entries(wanted).toSorted(([a], [b]) => (a < b ? -1 : 1))]);
}
