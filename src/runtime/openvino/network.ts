/** Opens a network in OpenVINO. */
import { availableParallelism } from 'node:os';
import type { BuiltGraph } from '../../onnx/graph.ts';
import type { Network, OpenOptions } from '../contract.ts';
import { SessionNetwork } from '../session-network.ts';
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
  return await SessionNetwork.open(async () => OpenVinoSession.open(core, graph, settings));
}
