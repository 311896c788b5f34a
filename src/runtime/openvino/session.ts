/** Runs a graph with OpenVINO on the CPU: the only place that compiles one. */
import type { BuiltGraph } from '../../onnx/graph.ts';
import type { HostTensor, HostTensors } from '../contract.ts';
import { checkInputs, type Session } from '../session-network.ts';
import type { Handle, HostPartialShape, Property } from './bindings.ts';
import type { OpenVinoCore } from './core.ts';
import { type OpenVinoModel, readModel } from './model.ts';
import { copyOutput, lend, type LentTensor } from './tensors.ts';

export interface SessionSettings {
  readonly threads: number;
  /** Of Conv, MatMul and attention. Inputs and outputs stay as the graph has them. */
  readonly precision: 'f32' | 'bf16';
}

interface Compiled {
  /** The inputs' sizes. */
  readonly sizes: string;
  readonly handle: Handle;
  readonly request: Handle;
}

export class OpenVinoSession implements Session {
  readonly #core: OpenVinoCore;
  readonly #model: OpenVinoModel;
  readonly #properties: readonly Property[];
  #compiled: Compiled | undefined;
  /** Memory that the running request reads. */
  #lent: LentTensor[] = [];

  private constructor(core: OpenVinoCore, model: OpenVinoModel, properties: readonly Property[]) {
    this.#core = core;
    this.#model = model;
    this.#properties = properties;
  }

  /** @throws `inference_failed`, `engine_out_of_memory` */
  static open(core: OpenVinoCore, graph: BuiltGraph, settings: SessionSettings): OpenVinoSession {
    return new OpenVinoSession(core, readModel(core, graph), propertiesOf(settings));
  }

  async run(inputs: HostTensors, signal?: AbortSignal): Promise<HostTensors> {
    const tensors = this.#inInputOrder(inputs);
    const { request } = await this.#compileFor(tensors);
    try {
      for (const [index, tensor] of tensors.entries()) {
        const lent = lend(this.#core, tensor);
        this.#lent.push(lent);
        this.#core.check('an input was refused', this.#core.functions.setInput(request, index, lent.handle));
      }
      await this.#infer(request, signal);
      return Object.fromEntries(
        this.#model.ports.outputs.map(({ name }, index) => [name, this.#output(request, index)]),
      );
    } finally {
      for (const { handle } of this.#lent) this.#core.functions.freeTensor(handle);
      this.#lent = [];
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#release();
    this.#core.functions.freeModel(this.#model.handle);
  }

  #inInputOrder(inputs: HostTensors): HostTensor[] {
    const { inputs: ports } = this.#model.ports;
    checkInputs(ports, inputs);
    // All are there.
    return ports.flatMap(({ name }) => inputs[name] ?? []);
  }

  /**
   * Compiled for the sizes of its inputs: with sizes that vary, a pass takes longer, and its last bits are others. So one size at a time is kept. A
   * second one would hold the weights again.
   */
  async #compileFor(tensors: readonly HostTensor[]): Promise<Compiled> {
    const sizes = JSON.stringify(tensors.map(({ shape }) => shape));
    if (this.#compiled?.sizes === sizes) return this.#compiled;
    this.#release();
    const { functions, handle: core } = this.#core;
    const ports = BigUint64Array.from(tensors, (_, index) => BigInt(index));
    const what = 'OpenVINO could not compile the graph';
    if (tensors.length > 0)
      this.#core.check(
        what,
        functions.reshapeModel(this.#model.handle, ports, tensors.map(fixedShape), tensors.length),
      );
    const handle = await this.#core.makeLater(what, (box) =>
      functions.compileModel.later(core, this.#model.handle, 'CPU', this.#properties.length, this.#properties, box),
    );
    try {
      const request = this.#core.make(what, (box) => functions.createRequest(handle, box));
      this.#compiled = { sizes, handle, request };
      return this.#compiled;
    } catch (error) {
      functions.freeCompiled(handle);
      throw error;
    }
  }

  #release(): void {
    const { functions } = this.#core;
    const compiled = this.#compiled;
    this.#compiled = undefined;
    if (compiled === undefined) return;
    functions.freeRequest(compiled.request);
    functions.freeCompiled(compiled.handle);
  }

  /** Started and waited for, because OpenVINO 2026.4 ends a run in its midst only if it was started. One that it runs itself goes on to its end. */
  async #infer(request: Handle, signal: AbortSignal | undefined): Promise<void> {
    const what = 'OpenVINO failed';
    const { functions } = this.#core;
    const cancel = (): void => void functions.cancel(request);
    this.#core.check(what, functions.start(request));
    signal?.addEventListener('abort', cancel);
    try {
      if (signal?.aborted === true) cancel();
      this.#core.check(what, await functions.wait.later(request));
    } finally {
      signal?.removeEventListener('abort', cancel);
    }
  }

  #output(request: Handle, index: number): HostTensor {
    const handle = this.#core.make('an output is missing', (box) => this.#core.functions.output(request, index, box));
    try {
      return copyOutput(this.#core, handle);
    } finally {
      this.#core.functions.freeTensor(handle);
    }
  }
}

function propertiesOf({ threads, precision }: SessionSettings): Property[] {
  return [
    // Its own choice is bfloat16 where the processor has it.
    { key: 'INFERENCE_PRECISION_HINT', value: precision },
    { key: 'PERFORMANCE_HINT', value: 'LATENCY' },
    { key: 'INFERENCE_NUM_THREADS', value: String(threads) },
    // Threads that are bound to processors stand still where another engine is bound to the same ones.
    { key: 'ENABLE_CPU_PINNING', value: 'NO' },
  ];
}

/** Least and most of each dimension in turn: the same. */
function fixedShape({ shape }: HostTensor): HostPartialShape {
  return {
    rankMin: shape.length,
    rankMax: shape.length,
    dims: BigInt64Array.from(
      shape.flatMap((size) => [size, size]),
      BigInt,
    ),
  };
}
