/** A checkpoint whose networks tell what they do: each run and each rest, by the component's name, in their order. */
import { NetworkOpener } from '../../src/engine/child/open-networks.ts';
import type { ResolvedGenerationRequest } from '../../src/job/generation-request.ts';
import type { BuiltGraph, ComputeType } from '../../src/onnx/graph.ts';
import type { Family } from '../../src/pipelines/family.ts';
import { buildGraph } from '../../src/pipelines/prove-fit.ts';
import type { Network, Runtime, Tensors } from '../../src/runtime/contract.ts';
import { DEFAULT_RUNTIME } from '../../src/runtime/registry.ts';
import { openKnown } from '../checkpoint/open-known.ts';
import { collectDrawings, type Drawn } from './collect-drawings.ts';

interface NetworkEvent {
  readonly component: string;
  readonly what: 'run' | 'rest';
  readonly computeType: ComputeType;
  /** Of a run: how many rows its first input has. */
  readonly rows: number;
}

export interface WatchedModel extends AsyncDisposable {
  /** Of all drawings so far; a test may empty it. */
  readonly events: NetworkEvent[];
  draw(
    requests: readonly ResolvedGenerationRequest[],
    options?: { readonly maxBatchImages?: number; readonly previews?: boolean; readonly signal?: AbortSignal },
  ): Promise<readonly Drawn[]>;
}

interface WatchedOptions {
  readonly runtime?: Pick<Runtime, 'open' | 'upload'>;
  readonly computeType?: ComputeType;
  readonly oneAtATime?: boolean;
  /** Called before a network runs; what it throws is the run's error. */
  readonly beforeRun?: (component: string) => void;
}

export async function watchedModel(folder: string, options: WatchedOptions = {}): Promise<WatchedModel> {
  const {
    runtime = DEFAULT_RUNTIME,
    computeType = 'float32',
    oneAtATime = false,
    beforeRun = () => undefined,
  } = options;
  const checkpoint = await openKnown(folder);
  const components = new Map<BuiltGraph, string>();
  const events: NetworkEvent[] = [];
  await using stack = new AsyncDisposableStack();
  const opener = stack.use(
    new NetworkOpener({
      runtime: {
        upload: (tensor, device) => runtime.upload(tensor, device),
        open: async (graph, opening) => {
          const network = await runtime.open(graph, opening);
          const tell = (what: NetworkEvent['what'], rows: number): void => {
            const component = components.get(graph) ?? '';
            events.push({ component, what, computeType: opening.computeType, rows });
          };
          return {
            // A cast: one function serves both signatures of `run`.
            run: (async (inputs: Tensors, run: { readonly keep: readonly string[] }) => {
              beforeRun(components.get(graph) ?? '');
              tell('run', Object.values(inputs)[0]?.shape[0] ?? 0);
              return await network.run(inputs, run);
            }) as Network['run'],
            rest: async () => {
              tell('rest', 0);
              await network.rest();
            },
            [Symbol.asyncDispose]: () => network[Symbol.asyncDispose](),
          };
        },
      },
      device: 'cpu',
      computeType,
      graphOf: (component, wanted) => {
        const graph = buildGraph(checkpoint, component, wanted);
        components.set(graph, component);
        return graph;
      },
      threads: 1,
      cache: { folder: null },
      oneAtATime,
    }),
  );
  const family: Family = checkpoint.family;
  const pipeline = stack.use(
    await family.load(checkpoint, {
      open: opener.open,
      upload: opener.upload,
      settings: { computeType, vaeTiling: false },
    }),
  );
  const resources = stack.move();
  return {
    events,
    draw: async (requests, { maxBatchImages = 1, previews = false, signal = new AbortController().signal } = {}) => {
      const jobs = requests.map((request) => ({ request, images: [], signal }));
      return await collectDrawings(pipeline, jobs, { maxBatchImages, previews });
    },
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}
