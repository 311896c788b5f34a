/**
 * ONNX Runtime through its C API on the CPU, whose tensors lie in its own memory as on a GPU, and what becomes of each. No GPU is needed: the calls are
 * the same.
 */
import assert from 'node:assert/strict';
import type { DeviceTensor, Network, Runtime, Tensors } from '../../src/runtime/contract.ts';
import { readPorts } from '../../src/onnx/graph-ports.ts';
import { upload } from '../../src/runtime/onnxruntime-c/network.ts';
import { DeviceValue } from '../../src/runtime/onnxruntime-c/values.ts';
import { ONNX_RUNTIME_C } from '../../src/runtime/registry.ts';
import { SessionNetwork } from '../../src/runtime/session-network.ts';
import { openCaptured } from '../runtime/onnxruntime-c/open-captured.ts';

interface Seen {
  readonly what: 'uploaded' | 'kept';
  readonly shape: readonly number[];
  disposed: number;
}

export interface DeviceTensors {
  readonly runtime: Runtime;
  /** Of all tensors so far; a test may empty it. */
  readonly seen: Seen[];
  /** Shapes, in the order in which they were made. */
  shapes(what: Seen['what']): readonly (readonly number[])[];
  /** Each was disposed exactly once. */
  assertAllFreed(): void;
}

interface Options {
  /** Called before a tensor is uploaded; what it throws is the upload's error. */
  readonly beforeUpload?: () => void;
  /** The network of every step has places of its own for each shape, as on CUDA. */
  readonly captured?: boolean;
}

export function deviceTensors({ beforeUpload = () => undefined, captured = false }: Options = {}): DeviceTensors {
  const seen: Seen[] = [];
  const see = <T extends DeviceTensor>(what: Seen['what'], tensor: T): T => {
    assert.ok(tensor instanceof DeviceValue, 'it lies in ONNX Runtime’s memory');
    const entry: Seen = { what, shape: tensor.shape, disposed: 0 };
    seen.push(entry);
    const free = tensor[Symbol.dispose].bind(tensor);
    return Object.assign(tensor, {
      [Symbol.dispose]: () => {
        entry.disposed++;
        free();
      },
    });
  };
  const open: Runtime['open'] = async (graph, options) => {
    const isCaptured = captured && options.use === 'every-step';
    const network = isCaptured ? await openCapturedNetwork(graph) : await ONNX_RUNTIME_C.open(graph, options);
    // A cast: one function serves both signatures of `run`.
    const run = network.run.bind(network) as (inputs: Tensors, options?: unknown) => Promise<Tensors>;
    return Object.assign(network, {
      run: (async (inputs: Tensors, options?: unknown) => {
        const outputs = await run(inputs, options);
        for (const tensor of Object.values(outputs)) if (tensor instanceof DeviceValue) see('kept', tensor);
        return outputs;
      }) as Network['run'],
    });
  };
  return {
    runtime: {
      ...ONNX_RUNTIME_C,
      open,
      upload: async (tensor, device) => {
        beforeUpload();
        return see('uploaded', await upload(tensor, device));
      },
    },
    seen,
    shapes: (what) => seen.filter((entry) => entry.what === what).map(({ shape }) => shape),
    assertAllFreed: () => {
      assert.deepEqual(
        seen.map(({ disposed }) => disposed),
        seen.map(() => 1),
      );
    },
  };
}

async function openCapturedNetwork(graph: Parameters<Runtime['open']>[0]): Promise<Network> {
  const outputs = readPorts(graph.model).outputs.map(({ name }) => name);
  return await SessionNetwork.open(async () => {
    const opened = await openCaptured(graph, outputs, 8);
    return {
      // Nothing is kept.
      run: async (inputs, signal) => (await opened.run(inputs, [], signal)) as never,
      runKeeping: async (inputs, options) => await opened.runs.run({ inputs, ...options }),
      [Symbol.asyncDispose]: async () => opened[Symbol.dispose](),
    };
  });
}
