/** (a) Whether the provider loads and computes at all: y = x + x. */
import { additionGraph, addWith } from '../../../src/runtime/addition-graph.ts';
import { memoryOf, secondsOf } from '../measure.ts';
import { gpuFacts, usedMemoryBytes } from '../gpu-facts.ts';
import { BINDING, openOn } from '../open-graph.ts';
import type { Report, TaskOf } from '../step.ts';

export async function additionStep({ device }: TaskOf<'addition'>, report: Report): Promise<void> {
  const before = usedMemoryBytes(device);
  const facts = gpuFacts(device);
  if (facts !== undefined) report({ what: facts.name, driver: facts.driver, capability: facts.computeCapability });
  for (const computeType of ['float32', 'float16'] as const) {
    let problem: string | undefined;
    const seconds = await secondsOf(async () => {
      problem = await addWith(`${device} in ${computeType}`, async (inputs) => {
        await using network = await openOn(BINDING, additionGraph(computeType), device);
        return await network.run(inputs);
      });
    });
    if (problem !== undefined) throw new Error(problem);
    report({ what: `load and add in ${computeType}`, seconds, ...memoryOf(device, before) });
  }
}
