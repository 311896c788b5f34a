/** Opens a checkpoint's networks on a device, each once per compute type. Closing it closes all that it opened. */
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { own } from '../../lib/foreign-record.ts';
import { quote } from '../../lib/foreign-text.ts';
import type { BuiltGraph, ComputeType } from '../../onnx/graph.ts';
import type { LoadTools, OpenNetworkOptions } from '../../pipelines/family.ts';
import type { CompileCacheSettings, Network, Runtime } from '../../runtime/contract.ts';

type Graphs = Readonly<Record<string, BuiltGraph | undefined>>;

export interface NetworkOpenerOptions {
  readonly runtime: Pick<Runtime, 'open'>;
  readonly device: string;
  /** What the device computes in. */
  readonly computeType: ComputeType;
  /** The networks' graphs by component, for a device that computes in this; called once for each. */
  readonly graphsIn: (computeType: ComputeType) => Graphs;
  /** 0: as many as the machine offers. */
  readonly threads: number;
  readonly cache: Pick<CompileCacheSettings, 'folder' | 'verify'>;
}

export class NetworkOpener implements AsyncDisposable {
  readonly #options: NetworkOpenerOptions;
  readonly #opened = new AsyncDisposableStack();
  readonly #graphs = new Map<ComputeType, Graphs>();
  readonly #networks = new Map<ComputeType, Map<string, Promise<Network>>>();
  readonly #notes: string[] = [];

  constructor(options: NetworkOpenerOptions) {
    this.#options = options;
  }

  /** What there is to tell about opening them; sentences for the log. */
  get notes(): readonly string[] {
    return this.#notes;
  }

  readonly open: LoadTools['open'] = async (component, { use, computeType = this.#options.computeType }) => {
    const graph = own(this.#graphsIn(computeType), component);
    if (graph === undefined)
      throw new Text2ImgError('internal', `the checkpoint has no network ${quote(component)} to open.`);
    // The graph decides: a network that overflows in float16 is float32 whatever was asked for.
    const networks = this.#networks.get(graph.computeType) ?? new Map<string, Promise<Network>>();
    this.#networks.set(graph.computeType, networks);
    const known = networks.get(component);
    if (known !== undefined) return await known;
    const network = this.#openGraph(graph, use);
    networks.set(component, network);
    // What failed may be tried again, for example when memory is free.
    network.catch(() => networks.delete(component));
    return await network;
  };

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#opened.disposeAsync();
  }

  #graphsIn(computeType: ComputeType): Graphs {
    const graphs = this.#graphs.get(computeType) ?? this.#options.graphsIn(computeType);
    this.#graphs.set(computeType, graphs);
    return graphs;
  }

  async #openGraph(graph: BuiltGraph, use: OpenNetworkOptions['use']): Promise<Network> {
    const { runtime, device, threads, cache } = this.#options;
    const network = await runtime.open(graph, {
      use,
      computeType: graph.computeType,
      device,
      threads,
      cache: { ...cache, onNote: (sentence) => void this.#notes.push(sentence) },
    });
    return this.#opened.use(network);
  }
}
