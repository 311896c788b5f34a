/** A graph that is open in ONNX Runtime, through its C API: the only place that makes sessions of networks. */
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { messageOf } from '../../lib/disk-errors.ts';
import { quote } from '../../lib/foreign-text.ts';
import { type BuiltGraph, requireWritten } from '../../onnx/built-graph.ts';
import { type GraphPorts, readPorts } from '../../onnx/graph-ports.ts';
import type { HostTensors, Tensors } from '../contract.ts';
import { entriesForSaving, weightsEntry } from '../onnxruntime/session-entries.ts';
import { checkInputs, type KeepingOptions, type Session } from '../session-network.ts';
import { CapturedRuns } from './captured-runs.ts';
import type { DeviceMemory } from './device-memory.ts';
import type { OrtEnvironment } from './environment.ts';
import type { OwnedHandle } from './handle.ts';
import type { OpenSession } from './run.ts';
import { run } from './run-session.ts';
import { makeSessionOptions, type SessionSettings } from './session-options.ts';

export interface SessionPlace {
  readonly environment: OrtEnvironment;
  readonly memory: DeviceMemory;
  readonly settings: SessionSettings;
  /** Recorded runs of the session; 0: none. */
  readonly mostCaptures: number;
}

/** @throws `inference_failed`, `engine_out_of_memory` */
export async function createSession(graph: BuiltGraph, place: SessionPlace): Promise<OrtSession> {
  requireWritten(graph);
  const ports = portsOf(graph);
  const { environment, settings } = place;
  using options = makeSessionOptions(environment, settings, { entries: weightsEntry(graph) });
  return new OrtSession(await fromBytes(environment, graph, options), ports, place);
}

/** As `saveOptimized` of `onnxruntime/session.ts`: the same files. */
export async function saveOptimized(graph: BuiltGraph, place: SessionPlace, modelPath: string): Promise<void> {
  requireWritten(graph);
  const { environment, settings } = place;
  const files = { entries: entriesForSaving(graph, modelPath), optimizedPath: modelPath };
  using options = makeSessionOptions(environment, settings, files);
  using _session = await fromBytes(environment, graph, options);
}

/** Loads what `saveOptimized` wrote. @param graph that was saved */
export async function loadOptimizedSession(
  graph: BuiltGraph,
  modelPath: string,
  place: SessionPlace,
): Promise<OrtSession> {
  const { environment, settings } = place;
  const { functions } = environment;
  using options = makeSessionOptions(environment, settings, { entries: {}, isOptimized: true });
  const handle = await environment.ownLater(
    (box) => functions.createSession.later(environment.handle, modelPath, options.address, box),
    functions.releaseSession,
  );
  return new OrtSession(handle, portsOf(graph), place);
}

async function fromBytes(
  environment: OrtEnvironment,
  { model }: BuiltGraph,
  options: OwnedHandle,
): Promise<OwnedHandle> {
  const { functions } = environment;
  return await environment.ownLater(
    (box) => functions.createSessionFromArray.later(environment.handle, model, model.length, options.address, box),
    functions.releaseSession,
  );
}

function portsOf({ model }: BuiltGraph): GraphPorts {
  try {
    return readPorts(model);
  } catch (error) {
    throw new Text2ImgError('inference_failed', `the bytes are no graph: ${messageOf(error)}.`, { cause: error });
  }
}

export class OrtSession implements Session {
  readonly #session: OpenSession;
  readonly #inputs: GraphPorts['inputs'];
  readonly #captures: CapturedRuns | undefined;

  constructor(handle: OwnedHandle, { inputs, outputs }: GraphPorts, place: SessionPlace) {
    const { environment, memory, mostCaptures, settings } = place;
    this.#inputs = inputs;
    this.#session = {
      environment,
      handle,
      outputs: outputs.map(({ name }) => name),
      place: memory,
      isPooled: settings.cuda !== undefined,
    };
    this.#captures = mostCaptures > 0 ? new CapturedRuns(this.#session, memory, mostCaptures) : undefined;
  }

  async run(inputs: HostTensors, signal?: AbortSignal): Promise<HostTensors> {
    // Nothing is kept.
    return (await this.runKeeping(inputs, { keep: [], signal })) as HostTensors;
  }

  async runKeeping(inputs: Tensors, { keep, unread, signal }: KeepingOptions): Promise<Tensors> {
    for (const name of keep)
      if (!this.#session.outputs.includes(name))
        throw new Text2ImgError('internal', `the network has no output ${quote(name)} to keep.`);
    checkInputs(this.#inputs, inputs);
    const request = { inputs, keep, unread, signal };
    return this.#captures === undefined ? await run(this.#session, request) : await this.#captures.run(request);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#captures?.[Symbol.dispose]();
    this.#session.handle[Symbol.dispose]();
  }
}
