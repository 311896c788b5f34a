/** Opens a checkpoint's networks on a device, each graph of them once per compute type. Closing it closes all that it opened. */
import type { BuiltGraph, ComputeType } from '../../onnx/graph.ts';
import type { LoadTools, OpenNetworkOptions } from '../../pipelines/family.ts';
import { type WantedGraph, wholeNetwork } from '../../pipelines/prove-fit.ts';
import type { CompileCacheSettings, Network, Runtime } from '../../runtime/contract.ts';
import { OneAtATime } from './one-at-a-time.ts';

export interface NetworkOpenerOptions {
  readonly runtime: Pick<Runtime, 'open'>;
  readonly device: string;
  /** The device computes in this type. */
  readonly computeType: ComputeType;
  /** The graph of a component for a device that computes in this; called once for each. @throws `internal` where there is none */
  readonly graphOf: (component: string, wanted: WantedGraph) => BuiltGraph;
  /** 0: as many as the machine offers. */
  readonly threads: number;
  readonly cache: Pick<CompileCacheSettings, 'folder' | 'verify' | 'limitBytes'>;
  /** One network at a time is in memory. */
  readonly oneAtATime?: boolean;
}

export class NetworkOpener implements AsyncDisposable {
  readonly #options: NetworkOpenerOptions;
  readonly #opened = new AsyncDisposableStack();
  readonly #graphs = new Map<string, BuiltGraph>();
  readonly #networks = new Map<string, Promise<Network>>();
  readonly #notes: string[] = [];
  /** Of all networks where one at a time is in memory, else of each component's graphs. */
  readonly #turns = new Map<string, OneAtATime>();

  constructor(options: NetworkOpenerOptions) {
    this.#options = options;
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
      this.#openGraph(graph, use),
    );
    this.#networks.set(key, network);
    // A network that failed to open may be opened again, for example when memory is free.
    network.catch(() => this.#networks.delete(key));
    return await network;
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

  async #openGraph(graph: BuiltGraph, use: OpenNetworkOptions['use']): Promise<Network> {
    const { runtime, device, threads, cache } = this.#options;
    return this.#opened.use(
      await runtime.open(graph, {
        use,
        computeType: graph.computeType,
        device,
        threads,
        cache: { ...cache, onNote: (sentence) => void this.#notes.push(sentence) },
      }),
    );
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
