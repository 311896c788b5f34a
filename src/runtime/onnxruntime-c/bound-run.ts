/** A run whose inputs and outputs are bound to places in memory, on a thread of koffi's. For the CPU: `pooled-run.ts` says why CUDA needs another. */
import type { Tensors } from '../contract.ts';
import type { OrtEnvironment } from './environment.ts';
import { OwnedHandle } from './handle.ts';
import { addressFor, type OpenSession, readOutputs, type RunRequest, runToEnd } from './run.ts';
import { copyFromHost, DeviceValue, factsOf } from './values.ts';

/** @throws as `run` */
export async function runBound(session: OpenSession, request: RunRequest): Promise<Tensors> {
  const { environment, handle, place } = session;
  const { functions } = environment;
  const { keep, into = {} } = request;
  // It also keeps the inputs' memory until the run has ended.
  using scope = new DisposableStack();
  const binding = scope.use(
    environment.own((box) => functions.createBinding(handle.address, box), functions.releaseBinding),
  );
  for (const [name, tensor] of Object.entries(request.inputs)) {
    const value = await addressFor(session, tensor, scope);
    environment.check(functions.bindInput(binding.address, name, value));
  }
  for (const name of readOutputs(session, request)) {
    const target = Object.hasOwn(into, name) ? into[name] : undefined;
    const memory = keep.includes(name) ? place.memory : environment.hostMemory;
    environment.check(
      target === undefined
        ? functions.bindOutputToDevice(binding.address, name, memory)
        : functions.bindOutput(binding.address, name, target.address),
    );
  }
  await runToEnd(environment, request, (options) =>
    functions.runWithBinding.later(handle.address, options, binding.address),
  );
  return takeOutputs(session, binding, request);
}

function takeOutputs(session: OpenSession, binding: OwnedHandle, request: RunRequest): Tensors {
  const { environment, place } = session;
  const { keep, into = {} } = request;
  const values = boundValues(environment, binding);
  const results: Record<string, Tensors[string]> = {};
  using kept = new DisposableStack();
  try {
    for (const [index, name] of readOutputs(session, request).entries()) {
      const value = values[index];
      if (value === undefined || Object.hasOwn(into, name)) continue;
      const facts = factsOf(environment, value.address);
      if (keep.includes(name)) {
        results[name] = kept.use(new DeviceValue(place.device, value, facts, (tensor) => place.read(tensor)));
        values[index] = undefined;
      } else results[name] = copyFromHost(environment, value.address, facts);
    }
    kept.move();
    return results;
  } finally {
    for (const value of values) value?.[Symbol.dispose]();
  }
}

function boundValues(environment: OrtEnvironment, binding: OwnedHandle): (OwnedHandle | undefined)[] {
  const { functions, allocator } = environment;
  const count: [number] = [0];
  const array = environment.addressFrom((box) => functions.boundOutputs(binding.address, allocator, box, count));
  if (array === null) return [];
  const values = functions.addressesAt(array, count[0]).map((value) => new OwnedHandle(value, functions.releaseValue));
  environment.check(functions.freeWith(allocator, array));
  return values;
}
