/**
 * The contract of a runtime for ONNX graphs: devices, networks, tensors. No type, provider or option of a runtime occurs here;
 * each runtime is a folder beside this file and a line in `registry.ts`.
 */
import type { BuiltGraph, ComputeType } from '../onnx/graph.ts';
import type { GraphForm } from '../onnx/graph-form.ts';
import type { VerifyCache } from './file-digest.ts';

/** The element types of a tensor, each with the array that holds it. */
interface ElementArrays {
  readonly float32: Float32Array;
  readonly float16: Float16Array;
  readonly int32: Int32Array;
  readonly int64: BigInt64Array;
  readonly uint8: Uint8Array;
}
export type ElementType = keyof ElementArrays;

/** Numbers in this process' memory. The number of elements is the product of `shape`. */
export type HostTensor = {
  readonly [T in ElementType]: { readonly type: T; readonly shape: readonly number[]; readonly data: ElementArrays[T] };
}[ElementType];

/** Numbers that may lie in a device's memory. Dispose it to free them; what is disposed cannot be read or run with. */
export interface DeviceTensor extends Disposable {
  readonly type: ElementType;
  readonly shape: readonly number[];
  read(): Promise<HostTensor>;
}

export type HostTensors = Readonly<Record<string, HostTensor>>;
export type Tensors = Readonly<Record<string, HostTensor | DeviceTensor>>;

/** As `--device` and logs name it: `cpu`, `cuda:0`. A runtime accepts the names that its `devices` reports. */
type Device = string;

export interface DeviceReport {
  readonly device: Device;
  /** A caller decides by this, never by the name. */
  readonly kind: 'cpu' | 'gpu';
  /** The device computes in these types, as tried. Empty: it cannot be used. */
  readonly computeTypes: readonly ComputeType[];
  /** As its maker calls it. */
  readonly name?: string;
  /** Absent: unknown. */
  readonly memoryBytes?: number;
  /** It cannot be used, but the machine has such a GPU, or had one: somebody may expect that it is used. */
  readonly hasGpu?: boolean;
  /** Why it cannot be used, or why a compute type is missing. */
  readonly problem?: string;
  /** A sentence: what the operator can do about the problem. */
  readonly advice?: string;
  /** The device can be used, but not with graphs in the fused form. Why, as tried and without a full stop. */
  readonly fusedProblem?: string;
}

/** Where a runtime keeps what it compiled, so that the next start is fast. */
export interface CompileCacheSettings {
  /** null: off. */
  readonly folder: string | null;
  readonly verify?: VerifyCache;
  /** Of all entries, in bytes on the disk; absent: as `defaultLimit` in `cache-entries.ts` says. */
  readonly limitBytes?: number | undefined;
  /** Networks with less are not cached. */
  readonly minWeightBytes?: number;
  /** Sentences for the log. */
  readonly onNote?: (sentence: string) => void;
}

export interface OpenOptions {
  readonly device: Device;
  /** The type that the graph was written in. A runtime that chooses its own arithmetic must not compute in less. */
  readonly computeType: ComputeType;
  /** 0: as many as the machine offers. */
  readonly threads: number;
  /** `every-step`: it runs over and over, so it may keep threads awake between two runs. `once`: it runs once per job. */
  readonly use: 'every-step' | 'once';
  /** Products of float32 are computed in float32, where the device could take less (TF32). A runtime that cannot say so ignores it. */
  readonly deterministic?: boolean;
  readonly cache?: CompileCacheSettings;
}

export interface Runtime {
  readonly name: 'onnxruntime' | 'onnxruntime-c' | 'openvino';
  /** Weights that come out of the compile cache are pages of a file, which all processes share. Absent: each process has its own copy. */
  readonly sharesCachedWeights?: boolean;
  /** Of its library: what was measured with another one is forgotten. */
  version?(): string;
  /**
   * Tries the devices in a child process each, because one that fails may end its process.
   * @param only this one device; absent: all that the runtime knows
   * @param environment of the child processes; absent: this process' own
   * @param triesFusedForm also tries graphs in the fused form, on devices whose `graphForm` it is
   */
  devices(options?: {
    readonly only?: Device;
    readonly environment?: Readonly<Record<string, string | undefined>>;
    readonly triesFusedForm?: boolean | undefined;
  }): Promise<readonly DeviceReport[]>;
  /** The form in which a network's graph runs fastest on the device; absent: portable on all. */
  graphForm?(device: Device): GraphForm;
  /** Of a device that has memory of its own, now. It may take some time. Absent or undefined: nobody knows. */
  memory?(device: Device): { readonly freeBytes: number; readonly totalBytes: number } | undefined;
  /** @throws `device_unavailable`, `inference_failed`, `engine_out_of_memory` */
  open(graph: BuiltGraph, options: OpenOptions): Promise<Network>;
  /** Copies a tensor to where the device reads it; on a CPU it is the same memory. @throws `device_unavailable` */
  upload(tensor: HostTensor, device: Device): Promise<DeviceTensor>;
}

/** A graph on a device. Disposing it twice is harmless; running it afterwards is `internal`. */
export interface Network extends AsyncDisposable {
  /**
   * Runs of one network follow each other in the order of the calls.
   * @param options.keep outputs to leave on the device; the caller disposes them, also after the network's end. All others come back as host tensors.
   * @param options.unread outputs that the caller does not want. A runtime may leave them out, and need not copy them to the host.
   * @param options.signal ends the run with `cancelled`. When, is the runtime's: before it starts at the latest, else as soon as it can stop.
   * @throws `inference_failed`, `engine_out_of_memory`, `cancelled`; `device_unavailable`, `device_lost` and `engine_crashed`, after which the process
   *   is of no use
   */
  run(
    inputs: Tensors,
    options?: {
      readonly keep?: undefined;
      readonly unread?: readonly string[] | undefined;
      readonly signal?: AbortSignal | undefined;
    },
  ): Promise<HostTensors>;
  run(
    inputs: Tensors,
    options: {
      readonly keep: readonly string[];
      readonly unread?: readonly string[] | undefined;
      readonly signal?: AbortSignal | undefined;
    },
  ): Promise<Tensors>;
  /** Frees its memory, weights included. The next run brings it back. */
  rest(): Promise<void>;
}
