/** Reads a graph into OpenVINO, its weights mapped from the files that they lie in. */
import { type BuiltGraph, requirePortable, requireWritten } from '../../onnx/built-graph.ts';
import { type GraphPorts, readPorts } from '../../onnx/graph-ports.ts';
import { messageOf } from '../../lib/disk-errors.ts';
import { Text2ImgError } from '../../errors/text2img-error.ts';
import type { Handle } from './bindings.ts';
import type { OpenVinoCore } from './core.ts';

export interface OpenVinoModel {
  readonly handle: Handle;
  readonly ports: GraphPorts;
}

/** @throws `inference_failed`, `engine_out_of_memory` */
export function readModel(core: OpenVinoCore, graph: BuiltGraph): OpenVinoModel {
  requireWritten(graph);
  requirePortable(graph, 'OpenVINO');
  const { model, weightsFolder, weightFiles } = graph;
  const ports = portsOf(model);
  const read = (): Handle =>
    core.make('OpenVINO could not read the graph', (box) =>
      core.functions.readModel(core.handle, model, model.length, null, box),
    );
  return { handle: weightFiles.length === 0 ? read() : inFolder(weightsFolder, read), ports };
}

function portsOf(model: Uint8Array): GraphPorts {
  try {
    return readPorts(model);
  } catch (error) {
    throw new Text2ImgError('inference_failed', `the bytes are no graph: ${messageOf(error)}.`, { cause: error });
  }
}

/**
 * A graph out of memory has no folder of its own: OpenVINO 2026.4 looks for its weights in the working folder of the process, and refuses files
 * outside. So the process is there for as long as one call that does not wait. A graph file would need a folder on the weights' file system.
 */
function inFolder<T>(folder: string, action: () => T): T {
  const before = workingFolder();
  process.chdir(folder);
  try {
    return action();
  } finally {
    if (before !== undefined) process.chdir(before);
  }
}

/** undefined: it was deleted below the process, which then cannot go back to it. */
function workingFolder(): string | undefined {
  try {
    return process.cwd();
  } catch {
    return undefined;
  }
}
