/** Opens a network in OpenVINO: its weights where they lie, or in float32 out of the compile cache. */
import { availableParallelism } from 'node:os';
import type { BuiltGraph } from '../../onnx/graph.ts';
import { openThroughCache } from '../compile-cache.ts';
import { convertedForm } from '../converted-form.ts';
import type { Network, OpenOptions } from '../contract.ts';
import { type Session, SessionNetwork } from '../session-network.ts';
import { openCore } from './core.ts';
import { OpenVinoSession } from './session.ts';

/** @throws `runtime_unavailable`, `inference_failed`, `engine_out_of_memory` */
export async function openNetwork(libraryFolder: string, graph: BuiltGraph, options: OpenOptions): Promise<Network> {
  const core = await openCore(libraryFolder);
  const settings = {
    // OpenVINO's own choice is one thread per physical core, which leaves half of a small virtual machine idle.
    threads: options.threads === 0 ? availableParallelism() : options.threads,
    precision: options.computeType === 'bfloat16' ? 'bf16' : 'f32',
  } as const;
  const open = (written: BuiltGraph): Session => OpenVinoSession.open(core, written, settings);
  const { widening } = graph;
  if (widening === undefined) return await SessionNetwork.open(async () => open(graph));
  const { cache = { folder: null } } = options;
  const form = convertedForm({
    key: 'weights in float32 for OpenVINO',
    eightBitForm: 'written-out',
    graph,
    widening,
    open,
  });
  return await SessionNetwork.open(() => openThroughCache(graph, form, cache));
}
