/**
 * OpenVINO's C API from Node, through koffi. Names and parameters are those of the headers in the release's package (`openvino/include/openvino/c/*.h`),
 * and so are the numbers of both enumerations. The numbers have moved between releases, so `core.ts` refuses every other release.
 */
import type { default as Koffi, LibraryHandle, TypeObject } from 'koffi';
import { messageOf } from '../../lib/disk-errors.ts';
import type { ElementType } from '../contract.ts';
import { loadKoffi } from '../load-koffi.ts';
import { type StatusFunction, statusFunction } from '../native-call.ts';
import { OPENVINO_SETUP, openvinoUnavailable } from './library-folder.ts';

/** The address of one of OpenVINO's objects. */
export type Handle = bigint;
/** Where a function leaves the address of an object that it made. */
export type Box = [Handle | null];

/** `ov_status_e` */
export const STATUS = { ok: 0, cancelled: -13 } as const;

/** `ov_element_type_e` */
export const ELEMENT_NUMBERS = { float16: 3, float32: 4, int32: 9, int64: 10, uint8: 16 } as const satisfies Record<
  ElementType,
  number
>;

/** `ov_shape_t` with memory of JavaScript. */
export interface HostShape {
  readonly rank: number;
  readonly dims: BigInt64Array;
}

/** `ov_shape_t` with memory of OpenVINO. */
export interface NativeShape {
  rank: number;
  dims: Handle | null;
}

/** `ov_partial_shape_t`: least and most of the rank, and of each dimension in turn. */
export interface HostPartialShape {
  readonly rankMin: number;
  readonly rankMax: number;
  readonly dims: BigInt64Array;
}

export interface Property {
  readonly key: string;
  readonly value: string;
}

export type OpenVinoFunctions = ReturnType<typeof declare>;

/** @throws `runtime_unavailable` where koffi or the library cannot be loaded */
export async function loadFunctions(libraryPath: string): Promise<OpenVinoFunctions> {
  const koffi = await requireKoffi();
  try {
    return declare(koffi, koffi.load(libraryPath));
  } catch (error) {
    throw openvinoUnavailable(
      `it could not be loaded: ${messageOf(error)}. Run "${OPENVINO_SETUP}" to check its files.`,
      { cause: error },
    );
  }
}

async function requireKoffi(): Promise<typeof Koffi> {
  try {
    return await loadKoffi();
  } catch (error) {
    throw openvinoUnavailable(
      `koffi cannot be loaded: ${messageOf(error)}. Run "npm install koffi" to bring it back.`,
      { cause: error },
    );
  }
}

/** koffi exports no name for what `out` makes. */
type TypeSpec = string | TypeObject | ReturnType<(typeof Koffi)['out']>;

function declare(koffi: typeof Koffi, library: LibraryHandle) {
  const address = koffi.pointer(koffi.opaque());
  const made = koffi.out(koffi.pointer(address));
  const shape = koffi.struct({ rank: 'int64_t', dims: 'int64_t *' });
  const nativeShape = koffi.struct({ rank: 'int64_t', dims: address });
  const partialShape = koffi.struct({ rankMin: 'int64_t', rankMax: 'int64_t', dims: 'int64_t *' });
  const version = koffi.struct({ buildNumber: 'const char *', description: 'const char *' });
  const property = koffi.struct({ key: 'const char *', value: 'const char *' });
  const status = <A extends readonly unknown[]>(name: string, types: readonly TypeSpec[]): StatusFunction<A, number> =>
    statusFunction(library.func(name, 'int', [...types]));
  const free = (name: string): ((object: Handle) => void) => library.func(name, 'void', [address]);
  return {
    version: status<[version: { buildNumber?: string }]>('ov_get_openvino_version', [
      koffi.out(koffi.pointer(version)),
    ]),
    lastError: library.func('ov_get_last_err_msg', address, []) as () => Handle | null,
    freeText: free('ov_free'),
    createCore: status<[core: Box]>('ov_core_create', [made]),
    getProperty: status<[core: Handle, device: string, key: string, value: Box]>('ov_core_get_property', [
      address,
      'const char *',
      'const char *',
      made,
    ]),
    readModel: status<[core: Handle, model: Uint8Array, length: number, weights: null, made: Box]>(
      'ov_core_read_model_from_memory_buffer',
      [address, 'const uint8_t *', 'size_t', address, made],
    ),
    reshapeModel: status<[model: Handle, ports: BigUint64Array, shapes: readonly HostPartialShape[], count: number]>(
      'ov_model_reshape_by_port_indexes',
      [address, 'const size_t *', koffi.pointer(partialShape), 'size_t'],
    ),
    compileModel: status<
      [core: Handle, model: Handle, device: string, count: number, properties: readonly Property[], made: Box]
    >('ov_core_compile_model_props', [address, address, 'const char *', 'size_t', koffi.pointer(property), made]),
    createRequest: status<[compiled: Handle, made: Box]>('ov_compiled_model_create_infer_request', [address, made]),
    setInput: status<[request: Handle, index: number, tensor: Handle]>('ov_infer_request_set_input_tensor_by_index', [
      address,
      'size_t',
      address,
    ]),
    output: status<[request: Handle, index: number, tensor: Box]>('ov_infer_request_get_output_tensor_by_index', [
      address,
      'size_t',
      made,
    ]),
    start: status<[request: Handle]>('ov_infer_request_start_async', [address]),
    wait: status<[request: Handle]>('ov_infer_request_wait', [address]),
    cancel: status<[request: Handle]>('ov_infer_request_cancel', [address]),
    createTensor: status<[type: number, shape: HostShape, data: ArrayBufferView, tensor: Box]>(
      'ov_tensor_create_from_host_ptr',
      ['int', shape, 'void *', made],
    ),
    tensorShape: status<[tensor: Handle, shape: Partial<NativeShape>]>('ov_tensor_get_shape', [
      address,
      koffi.out(koffi.pointer(nativeShape)),
    ]),
    freeShape: status<[shape: NativeShape]>('ov_shape_free', [koffi.pointer(nativeShape)]),
    tensorType: status<[tensor: Handle, type: [number]]>('ov_tensor_get_element_type', [
      address,
      koffi.out(koffi.pointer('int')),
    ]),
    tensorBytes: status<[tensor: Handle, bytes: [number]]>('ov_tensor_get_byte_size', [
      address,
      koffi.out(koffi.pointer('size_t')),
    ]),
    tensorData: status<[tensor: Handle, data: Box]>('ov_tensor_data', [address, made]),
    freeTensor: free('ov_tensor_free'),
    freeRequest: free('ov_infer_request_free'),
    freeCompiled: free('ov_compiled_model_free'),
    freeModel: free('ov_model_free'),
    /** A copy of bytes at an address. */
    bytesAt: (start: Handle, length: number): ArrayBuffer => koffi.view(start, length).slice(0),
    textAt: (start: Handle): string => koffi.decode.string(start),
  };
}
