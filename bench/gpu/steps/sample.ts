/** (b) The sample of the fused form that an engine tries before it takes that form: how far the forms are apart, through both runtimes. */
import { FormSample } from '../../../src/networks/form-sample.ts';
import type { HostTensors, Runtime } from '../../../src/runtime/contract.ts';
import { ONNX_RUNTIME_C } from '../../../src/runtime/registry.ts';
import { float32, floatsOf } from '../../../src/runtime/tensors.ts';
import { differenceOf, secondsOf } from '../measure.ts';
import { BINDING, HALF, openOn, styleFor } from '../open-graph.ts';
import type { Report, TaskOf } from '../step.ts';

export async function sampleStep(task: TaskOf<'sample'>, report: Report): Promise<void> {
  for (const runtime of [BINDING, ONNX_RUNTIME_C]) await compareSamples(runtime, task, report);
}

/** Opened and run once in both forms, as an engine does before it takes the fused form. */
async function compareSamples(runtime: Runtime, { device }: TaskOf<'sample'>, report: Report): Promise<void> {
  const sample = new FormSample();
  const inputs = Object.fromEntries(
    Object.entries(sample.inputs).map(([name, { data, shape }]) => [name, float32(data, shape)]),
  );
  for (const computeType of ['float32', HALF] as const) {
    const results: HostTensors[] = [];
    const seconds = await secondsOf(async () => {
      for (const form of ['portable', 'fused'] as const) {
        await using network = await openOn(runtime, sample.graph(computeType, styleFor(form, device)), device);
        results.push(await network.run(inputs));
      }
    });
    const [portable = {}, fused = {}] = results;
    for (const name of Object.keys(portable)) {
      const difference = differenceOf(floatsOf(fused, name), floatsOf(portable, name));
      report({ what: `${computeType}, ${runtime.name}, ${name}`, seconds, ...difference });
    }
  }
}
