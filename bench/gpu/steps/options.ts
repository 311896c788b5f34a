/** (g) Recorded passes of one image with guidance, with other options of the CUDA provider than ours: which of them a GPU is faster with. */
import { messageOf } from '../../../src/lib/disk-errors.ts';
import { cudaOptionsFor } from '../../../src/runtime/onnxruntime-c/cuda-options.ts';
import { type OnnxRuntimeCOptions, onnxRuntimeC } from '../../../src/runtime/onnxruntime-c/onnxruntime-c.ts';
import { timePasses } from '../measure.ts';
import { graphOf, openOn, unetInputs } from '../open-graph.ts';
import type { Report, TaskOf } from '../step.ts';
import { boundPasses, uploaded } from './runtime-c.ts';

const BATCH = 2;

/** `sdpa_kernel` adds up kernels of attention: 1 is flash attention, 2 the memory-efficient one, 8 cuDNN's (attention_kernel_options.h). */
const CHANGES: readonly Readonly<Record<string, string>>[] = [
  {},
  { cudnn_conv_algo_search: 'EXHAUSTIVE' },
  { cudnn_conv_algo_search: 'DEFAULT' },
  { fuse_conv_bias: '1' },
  { sdpa_kernel: '1' },
  { sdpa_kernel: '2' },
  { sdpa_kernel: '8' },
  { arena_extend_strategy: 'kNextPowerOfTwo' },
];

export async function optionsStep(task: TaskOf<'options'>, report: Report): Promise<void> {
  const { model, device, isTiny } = task;
  const graph = await graphOf({ model, component: 'unet', form: 'fused' }, task);
  const ours = cudaOptionsFor({ deviceId: 0, capture: false, deterministic: false });
  for (const change of CHANGES) {
    const names = Object.entries(change).map(([name, value]) => `${name}=${value}, not ${ours[name] ?? 'given'}`);
    const what = names[0] ?? 'ours';
    try {
      report({ what, ...(await timeWith({ cudaOptions: change })) });
    } catch (error) {
      report({ what, problem: messageOf(error) });
    }
  }

  async function timeWith(options: OnnxRuntimeCOptions): ReturnType<typeof timePasses> {
    const runtime = onnxRuntimeC(options);
    await using network = await openOn(runtime, graph, device);
    using passes = boundPasses(network, await uploaded(runtime, unetInputs(model, BATCH, isTiny), device));
    return await timePasses(passes.run);
  }
}
