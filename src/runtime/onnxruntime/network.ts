/** Opens a network in ONNX Runtime, through the compile cache on a CPU. */
import { availableParallelism } from 'node:os';
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { type BuiltGraph, requirePortable } from '../../onnx/built-graph.ts';
import { openThroughCache } from '../compile-cache.ts';
import type { Network, OpenOptions } from '../contract.ts';
import { SessionNetwork } from '../session-network.ts';
import { openConverted } from '../converted-form.ts';
import { compiledForm } from './compiled-form.ts';
import { providerOf } from './execution-provider.ts';
import { createSession, type OnnxRuntimeSession } from './session.ts';

/** @throws `device_unavailable`, `inference_failed`, `engine_out_of_memory` */
export async function openNetwork(graph: BuiltGraph, options: OpenOptions): Promise<Network> {
  return await SessionNetwork.open(opener(graph, options));
}

function opener(graph: BuiltGraph, options: OpenOptions): () => Promise<OnnxRuntimeSession> {
  if (providerOf(options.device).name !== 'cuda') requirePortable(graph, options.device);
  if (options.computeType === 'bfloat16')
    throw new Text2ImgError('device_unavailable', 'ONNX Runtime does not compute in bfloat16; OpenVINO does.');
  if (graph.weightType === 'int8' && options.device !== 'cpu')
    throw new Text2ImgError('device_unavailable', `weights of 8 bits are for the CPU, not for ${options.device}.`);
  const settings = {
    provider: providerOf(options.device),
    // ONNX Runtime's own choice is one thread per physical core, which leaves half of a small virtual machine idle.
    threads: options.threads === 0 ? availableParallelism() : options.threads,
    spin: options.use === 'every-step',
  };
  const { cache } = options;
  const open = (ready: BuiltGraph): Promise<OnnxRuntimeSession> => createSession(ready, settings);
  // Only the CPU provider's compiled form can be loaded again. With operators that are spelled out, ONNX Runtime 1.30 ends with a segmentation fault
  // when it loads its own compiled form.
  if (settings.provider.name !== 'cpu' || graph.form === 'fused') return () => openConverted(graph, open, cache);
  return () => openThroughCache(graph, compiledForm(settings), cache ?? { folder: null });
}
