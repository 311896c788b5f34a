/**
 * Runs that a device records once for each shape of their inputs and replays afterwards: one launch instead of some thousand (CUDA graphs). A recorded run
 * reads and writes the addresses that it had, so each shape has inputs and outputs of its own.
 *
 * On the CPU nothing is recorded, and everything else is the same. That is how it is tested without a GPU.
 */
import type { HostTensor, Tensors } from '../contract.ts';
import { isOnDevice } from '../tensors.ts';
import { runAsync } from './async-run.ts';
import { ELEMENT_NUMBERS, type Handle } from './bindings.ts';
import type { DeviceMemory } from './device-memory.ts';
import type { OwnedHandle } from './handle.ts';
import { runPooled } from './pooled-run.ts';
import { type OpenSession, type RunRequest, runToEnd } from './run.ts';
import { keepOnDevice } from './run-session.ts';
import { DeviceValue, type ValueFacts } from './values.ts';

/** Of shapes that ran once. Forgetting one costs one more run that is not recorded. */
const MOST_SEEN = 256;
const GRAPH_ID = 'gpu_graph_id';
/** "not to be recorded", as `onnxruntime_run_options_config_keys.h` has it. */
const NOT_RECORDED = '-1';

interface Capture {
  /** From 1: 0 is not allowed. */
  readonly id: number;
  readonly inputs: ReadonlyMap<string, DeviceValue>;
  readonly outputs: ReadonlyMap<string, DeviceValue>;
  /**
   * Tensors of the device whose numbers lie in the inputs already, such as an embedding that is the same at every step. They hold until another run: a
   * recorded run writes intermediate values where it once had them. The arena has given that memory to others since.
   */
  readonly copied: Map<string, DeviceValue>;
}

type Outputs = Readonly<Record<string, ValueFacts>>;

export class CapturedRuns implements Disposable {
  readonly #session: OpenSession;
  readonly #memory: DeviceMemory;
  readonly #most: number;
  readonly #allocator: OwnedHandle;
  /** The outputs of shapes that ran once. */
  readonly #seen = new Map<string, Outputs>();
  /** The one that was used least recently comes first. */
  readonly #captures = new Map<string, Capture>();
  #lastId = 0;
  /** Of the run before; undefined: it was not recorded. */
  #lastCapture: Capture | undefined;

  constructor(session: OpenSession, memory: DeviceMemory, most: number) {
    const { environment, handle } = session;
    const { functions } = environment;
    this.#session = session;
    this.#memory = memory;
    this.#most = most;
    this.#allocator = environment.own(
      (box) => functions.createAllocator(handle.address, memory.memory, box),
      functions.releaseAllocator,
    );
  }

  get count(): number {
    return this.#captures.size;
  }

  /** The first run of a shape is not recorded: it tells the shapes of the outputs, and many shapes come once. */
  async run(request: RunRequest): Promise<Tensors> {
    const key = JSON.stringify(Object.entries(request.inputs).map(([name, { type, shape }]) => [name, type, shape]));
    const capture = this.#captures.get(key) ?? this.#begin(key, request.inputs);
    if (capture !== this.#lastCapture) capture?.copied.clear();
    this.#lastCapture = capture;
    if (capture === undefined) return await this.#runOnce(key, request);
    this.#captures.delete(key);
    this.#captures.set(key, capture);
    try {
      return await this.#runCaptured(capture, request);
    } catch (error) {
      // A run that ended early may have left half a recording.
      this.#release(key, capture);
      throw error;
    }
  }

  [Symbol.dispose](): void {
    for (const [key, capture] of this.#captures) this.#release(key, capture);
    this.#allocator[Symbol.dispose]();
  }

  /** On the thread that records, as every run of the session. */
  async #runOnce(key: string, { inputs, keep, unread = [], signal }: RunRequest): Promise<Tensors> {
    const made = await runPooled(this.#session, { inputs, signal, entries: { [GRAPH_ID]: NOT_RECORDED } });
    this.#seen.set(key, factsOfAll(made));
    const [oldest] = this.#seen.keys();
    if (this.#seen.size > MOST_SEEN && oldest !== undefined) this.#seen.delete(oldest);
    return await keepOnDevice(this.#memory, made, { keep, unread });
  }

  #begin(key: string, inputs: Tensors): Capture | undefined {
    const outputs = this.#seen.get(key);
    if (outputs === undefined) return undefined;
    for (const [oldKey, oldest] of this.#captures) {
      if (this.#captures.size < this.#most) break;
      this.#release(oldKey, oldest);
    }
    const made = new DisposableStack();
    const allocate = (facts: Record<string, ValueFacts>): ReadonlyMap<string, DeviceValue> =>
      new Map(
        Object.entries(facts).map(([name, { type, shape }]) => [name, made.use(this.#allocate({ type, shape }))]),
      );
    try {
      const capture: Capture = {
        id: ++this.#lastId,
        inputs: allocate({ ...inputs }),
        outputs: allocate({ ...outputs }),
        copied: new Map(),
      };
      this.#captures.set(key, capture);
      return capture;
    } catch (error) {
      made.dispose();
      throw error;
    }
  }

  #allocate(facts: ValueFacts): DeviceValue {
    const { environment } = this.#session;
    const { functions } = environment;
    const sizes = BigInt64Array.from(facts.shape, BigInt);
    const handle = environment.own(
      (box) => functions.createValue(this.#allocator.address, sizes, sizes.length, ELEMENT_NUMBERS[facts.type], box),
      functions.releaseValue,
    );
    return new DeviceValue(this.#memory.device, handle, facts, (value) => this.#memory.read(value));
  }

  async #runCaptured(capture: Capture, { inputs: given, keep, unread = [], signal }: RunRequest): Promise<Tensors> {
    const { environment } = this.#session;
    const { id, inputs, outputs } = capture;
    await this.#fill(capture, given);
    const run = { inputs: addressesOf(inputs), outputs: addressesOf(outputs) };
    await runToEnd(environment, { signal, entries: { [GRAPH_ID]: String(id) } }, async (options) => {
      const { status } = await runAsync(this.#session, options, run);
      return status;
    });
    const results: Record<string, Tensors[string]> = {};
    for (const [name, buffer] of outputs)
      if (!unread.includes(name))
        results[name] = keep.includes(name) ? await this.#memory.copy(buffer) : await buffer.read();
    return results;
  }

  async #fill({ inputs, copied }: Capture, given: Tensors): Promise<void> {
    const copies: Parameters<DeviceMemory['copyInto']>[0][number][] = [];
    using scope = new DisposableStack();
    const held: [string, DeviceValue][] = [];
    for (const [name, into] of inputs) {
      const tensor = given[name];
      if (tensor === undefined) continue;
      if (tensor instanceof DeviceValue) {
        // Throws for one that was disposed.
        scope.use(tensor.hold());
        held.push([name, tensor]);
      }
      if (copied.get(name) !== tensor) copies.push({ from: await this.#near(tensor), into });
    }
    copied.clear();
    await this.#memory.copyInto(copies);
    // The numbers of a tensor on the device never change.
    for (const [name, tensor] of held) copied.set(name, tensor);
  }

  async #near(tensor: Tensors[string]): Promise<HostTensor | DeviceValue> {
    if (tensor instanceof DeviceValue && tensor.device === this.#memory.device) return tensor;
    return isOnDevice(tensor) ? await tensor.read() : tensor;
  }

  #release(key: string, { id, inputs, outputs }: Capture): void {
    const { environment, handle } = this.#session;
    this.#captures.delete(key);
    try {
      environment.check(environment.functions.releaseCapture(handle.address, id));
    } finally {
      for (const value of [...inputs.values(), ...outputs.values()]) value[Symbol.dispose]();
    }
  }
}

function addressesOf(values: ReadonlyMap<string, DeviceValue>): Map<string, Handle> {
  return new Map(Array.from(values, ([name, { address }]) => [name, address]));
}

function factsOfAll(tensors: Readonly<Record<string, ValueFacts>>): Outputs {
  return Object.fromEntries(Object.entries(tensors).map(([name, { type, shape }]) => [name, { type, shape }]));
}
