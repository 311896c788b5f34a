/** (f) Decoding one picture, in the type that the autoencoder's configuration asks for. */
import { usedMemoryBytes } from '../gpu-facts.ts';
import { memoryOf, timePasses } from '../measure.ts';
import { BINDING, graphOf, openOn, vaeInputs } from '../open-graph.ts';
import type { Report, TaskOf } from '../step.ts';

export async function vaeStep(task: TaskOf<'vae'>, report: Report): Promise<void> {
  const { model, form, device, isTiny } = task;
  const beforeBytes = usedMemoryBytes(device);
  const graph = await graphOf({ model, form, component: 'vae' }, task);
  await using network = await openOn(BINDING, graph, device);
  const inputs = vaeInputs(model, isTiny);
  const timed = await timePasses(() => network.run(inputs));
  report({ what: graph.computeType, ...timed, ...memoryOf(device, beforeBytes) });
}
