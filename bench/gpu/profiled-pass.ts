/** A pass of a UNet between two marks for NVIDIA's profiler `ncu`. The argument is the task, as JSON. */
import { loadKoffi } from '../../src/runtime/load-koffi.ts';
import { BINDING, graphOf, openOn, UNREAD, unetInputs } from './open-graph.ts';
import type { TaskOf } from './step.ts';

/** Kernels are searched in the first pass of a size, and memory is taken. */
const PASSES_BEFORE = 2;

const task = JSON.parse(process.argv[2] ?? '{}') as TaskOf<'kernels'>;
const { model, form, batch, device, isTiny } = task;
await using network = await openOn(BINDING, await graphOf({ model, form, component: 'unet' }, task), device);
const inputs = unetInputs(model, batch, isTiny);
for (let pass = 0; pass < PASSES_BEFORE; pass++) await network.run(inputs, { unread: UNREAD });
if (device === 'cpu') await network.run(inputs, { unread: UNREAD });
else {
  const cuda = (await loadKoffi()).load('libcudart.so.13');
  cuda.func('int cudaProfilerStart()')();
  await network.run(inputs, { unread: UNREAD });
  cuda.func('int cudaProfilerStop()')();
}
