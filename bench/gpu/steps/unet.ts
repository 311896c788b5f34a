/** (e, f, h) Passes of a whole UNet through the binding: seconds until the first result of each size, seconds of a pass, memory. */
import type { HostTensors, Network } from '../../../src/runtime/contract.ts';
import { floatsOf } from '../../../src/runtime/tensors.ts';
import { usedMemoryBytes } from '../gpu-facts.ts';
import { memoryOf, secondsOf } from '../measure.ts';
import { BINDING, graphOf, keepOutput, openOn, outputsFolder, UNREAD, unetInputs } from '../open-graph.ts';
import type { Report, TaskOf } from '../step.ts';
import { type BatchPasses, timeBatches } from '../time-batches.ts';

export async function unetStep(task: TaskOf<'unet'>, report: Report): Promise<void> {
  const { model, form, batches, device, isTiny } = task;
  const beforeBytes = usedMemoryBytes(device);
  const graph = await graphOf({ model, form, component: 'unet' }, task);
  let opened: Network | undefined;
  const seconds = await secondsOf(async () => {
    opened = await openOn(BINDING, graph, device);
  });
  if (opened === undefined) throw new Error('the network was not opened');
  await using network = opened;
  report({ what: 'load', seconds, weightBytes: graph.weightBytes, ...memoryOf(device, beforeBytes) });
  await timeBatches({
    batches,
    prepare: (batch) => Promise.resolve(passesOf(network, unetInputs(model, batch, isTiny))),
    device,
    beforeBytes,
    report,
    onResult: (values) => keepOutput(outputsFolder(model, task), `text2img ${form} float16`, values),
  });
}

/** Inputs and output in the host's memory, as the binding has them. */
export function passesOf(network: Network, inputs: HostTensors): BatchPasses {
  let last: HostTensors = {};
  return {
    run: async () => {
      last = await network.run(inputs, { unread: UNREAD });
    },
    result: () => Promise.resolve(floatsOf(last, 'out_sample')),
    [Symbol.dispose]: () => undefined,
  };
}
