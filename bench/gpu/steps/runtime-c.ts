/** (g) The same passes through ONNX Runtime's C API: with and without a CUDA graph, with and without tensors that stay on the device. */
import { messageOf } from '../../../src/lib/disk-errors.ts';
import type { BuiltGraph } from '../../../src/onnx/graph.ts';
import type {
  DeviceTensor,
  HostTensor,
  HostTensors,
  Network,
  Runtime,
  Tensors,
} from '../../../src/runtime/contract.ts';
import { onnxRuntimeC } from '../../../src/runtime/onnxruntime-c/onnxruntime-c.ts';
import { floatsOf, isOnDevice } from '../../../src/runtime/tensors.ts';
import { usedMemoryBytes } from '../gpu-facts.ts';
import { graphOf, keepOutput, openOn, outputsFolder, UNREAD, unetInputs } from '../open-graph.ts';
import type { Report, TaskOf } from '../step.ts';
import { type BatchPasses, timeBatches } from '../time-batches.ts';
import { passesOf } from './unet.ts';

const OUTPUT = 'out_sample';

const VARIANTS = [
  // Inputs and outputs lie in the host's memory.
  { name: 'no CUDA graph', isBound: false, mostCaptures: 0 },
  // A run of each batch is recorded.
  { name: 'CUDA graph', isBound: false, mostCaptures: 8 },
  // Inputs are on the device before the run, and the output stays there.
  { name: 'CUDA graph, tensors on the GPU', isBound: true, mostCaptures: 8 },
] as const;

/** @throws the failures of all variants together: the largest batch may have no memory in one of them, and the others are measured all the same */
export async function runtimeCStep(task: TaskOf<'runtime-c'>, report: Report): Promise<void> {
  const graph = await graphOf({ model: task.model, form: task.form, component: 'unet' }, task);
  const failures: string[] = [];
  for (const variant of VARIANTS)
    try {
      await timeVariant(variant, graph, { task, report });
    } catch (error) {
      failures.push(`${variant.name}: ${messageOf(error)}`);
    }
  if (failures.length > 0) throw new Error(failures.join('; '));
}

async function timeVariant(
  { name, isBound, mostCaptures }: (typeof VARIANTS)[number],
  graph: BuiltGraph,
  { task, report }: { readonly task: TaskOf<'runtime-c'>; readonly report: Report },
): Promise<void> {
  const { model, form, batches, device, isTiny } = task;
  const beforeBytes = usedMemoryBytes(device);
  const runtime = onnxRuntimeC({ mostCaptures });
  await using network = await openOn(runtime, graph, device);
  await timeBatches({
    batches,
    variant: name,
    prepare: async (batch) => {
      const inputs = unetInputs(model, batch, isTiny);
      return isBound ? boundPasses(network, await uploaded(runtime, inputs, device)) : passesOf(network, inputs);
    },
    device,
    beforeBytes,
    report,
    onResult: (values) => keepOutput(outputsFolder(model, task), `text2img ${form} float16, ${name}`, values),
  });
}

export async function uploaded(
  runtime: Runtime,
  inputs: HostTensors,
  device: string,
): Promise<Readonly<Record<string, DeviceTensor>>> {
  const found: Record<string, DeviceTensor> = {};
  for (const [name, tensor] of Object.entries(inputs)) found[name] = await runtime.upload(tensor, device);
  return found;
}

export function boundPasses(network: Network, inputs: Readonly<Record<string, DeviceTensor>>): BatchPasses {
  let last: Tensors = {};
  const free = (): void => {
    const output = last[OUTPUT];
    if (output !== undefined && isOnDevice(output)) output[Symbol.dispose]();
    last = {};
  };
  return {
    run: async () => {
      free();
      last = await network.run(inputs, { keep: [OUTPUT], unread: UNREAD });
    },
    result: async () => floatsOf({ [OUTPUT]: await read(last[OUTPUT]) }, OUTPUT),
    [Symbol.dispose]: () => {
      free();
      for (const input of Object.values(inputs)) input[Symbol.dispose]();
    },
  };
}

async function read(tensor: HostTensor | DeviceTensor | undefined): Promise<HostTensor> {
  if (tensor === undefined) throw new Error('there was no run');
  return isOnDevice(tensor) ? await tensor.read() : tensor;
}
