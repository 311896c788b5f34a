/**
 * ONNX Runtime's C API from Node, through koffi: the functions of the table `OrtApi` that this project calls. Names, parameters and numbers are those
 * of the release's header `onnxruntime_c_api.h`. Places and numbers hold for one release, so no other one is taken.
 */
import type { default as Koffi, LibraryHandle, TypeObject } from 'koffi';
import { messageOf } from '../../lib/disk-errors.ts';
import { quote } from '../../lib/foreign-text.ts';
import type { ElementType } from '../contract.ts';
import { loadKoffi } from '../load-koffi.ts';
import { statusFunction } from '../native-call.ts';
import { ONNX_RUNTIME_VERSION } from '../onnxruntime/cuda/cuda-wheels.ts';
// Before the library is loaded.
import '../onnxruntime/no-telemetry.ts';
import { API_PLACES, type ApiFunction } from './api-places.ts';
import { libraryAdvice, ortUnavailable } from './library.ts';

/** The address of one of ONNX Runtime's objects. */
export type Handle = bigint;
/** Where a function leaves an address. */
export type Box = [Handle | null];
/** An `OrtStatus`; null: it went well. */
type Status = Handle | null;

/** `ORT_API_VERSION` of release 1.30. */
const API_VERSION = 30;

/** `ONNXTensorElementDataType` */
export const ELEMENT_NUMBERS = { float32: 1, uint8: 2, int32: 6, int64: 7, float16: 10 } as const satisfies Record<
  ElementType,
  number
>;

/** `OrtLoggingLevel` */
export const LOG_LEVEL = { warning: 2, error: 3 } as const;
/** `GraphOptimizationLevel` */
export const OPTIMIZATION = { none: 0, all: 99 } as const;
/** `OrtAllocatorType`, `OrtMemType` */
export const MEMORY = { arenaAllocator: 1, defaultType: 0 } as const;

export type OrtFunctions = ReturnType<typeof declare>;

/** @throws `runtime_unavailable` where koffi or the library cannot be loaded, or the library is of another release */
export async function loadFunctions(libraryPath: string): Promise<OrtFunctions> {
  const koffi = await requireKoffi();
  return declare(koffi, apiTable(koffi, libraryPath));
}

async function requireKoffi(): Promise<typeof Koffi> {
  try {
    return await loadKoffi();
  } catch (error) {
    throw ortUnavailable(`koffi cannot be loaded: ${messageOf(error)}. Run "npm install koffi" to bring it back.`, {
      cause: error,
    });
  }
}

function apiTable(koffi: typeof Koffi, libraryPath: string): readonly Handle[] {
  const [getApi, getVersion] = baseOf(koffi, libraryPath);
  const version = String(koffi.decode(getVersion, koffi.proto('const char *', []))());
  // Asked with another number, a library writes a line to stderr.
  const isKnown = version === ONNX_RUNTIME_VERSION;
  const api = isKnown
    ? (koffi.decode(getApi, koffi.proto('void *', ['uint32_t']))(API_VERSION) as Handle | null)
    : null;
  if (api === null)
    throw ortUnavailable(
      `the library ${libraryPath} is of release ${quote(version)}, not ${ONNX_RUNTIME_VERSION}. ${libraryAdvice(libraryPath)}`,
    );
  const length = Math.max(...Object.values(API_PLACES)) + 1;
  return koffi.decode(api, koffi.array('void *', length)) as Handle[];
}

/** koffi closes a library whose handle is garbage, and the table's functions with it. */
const libraries = new Set<LibraryHandle>();

/** The two functions of `OrtApiBase`. The loader gives the same library to everyone who asks for the same file, so its environment is shared. */
function baseOf(koffi: typeof Koffi, libraryPath: string): readonly [getApi: Handle, getVersion: Handle] {
  try {
    const library = koffi.load(libraryPath);
    libraries.add(library);
    const base = library.func('OrtGetApiBase', 'void *', [])() as Handle;
    return koffi.decode(base, koffi.array('void *', 2)) as [Handle, Handle];
  } catch (error) {
    throw ortUnavailable(`${libraryPath} could not be loaded: ${messageOf(error)}. ${libraryAdvice(libraryPath)}`, {
      cause: error,
    });
  }
}

/** koffi exports no name for what `out` makes. */
type TypeSpec = string | TypeObject | ReturnType<(typeof Koffi)['out']>;

function declare(koffi: typeof Koffi, table: readonly Handle[]) {
  const address = koffi.pointer(koffi.opaque());
  const made = koffi.out(koffi.pointer(address));
  const native = (name: ApiFunction, result: TypeSpec, types: readonly TypeSpec[]) =>
    koffi.decode(table[API_PLACES[name]], koffi.proto(result, [...types])) as ReturnType<
      ReturnType<(typeof Koffi)['load']>['func']
    >;
  const status = <A extends readonly unknown[]>(name: ApiFunction, types: readonly TypeSpec[]) =>
    statusFunction<A, Status>(native(name, address, types));
  const free = (name: ApiFunction): ((object: Handle) => void) => native(name, 'void', [address]);
  const runEnded = koffi.proto('void', [address, address, 'size_t', address]);
  return {
    errorMessage: native('GetErrorMessage', 'const char *', [address]) as (status: Handle) => string,
    releaseStatus: free('ReleaseStatus'),
    createEnvironment: status<[level: number, name: string, made: Box]>('CreateEnv', ['int', 'const char *', made]),
    disableTelemetry: status<[environment: Handle]>('DisableTelemetryEvents', [address]),

    createSession: status<[environment: Handle, path: string, options: Handle, made: Box]>('CreateSession', [
      address,
      'const char *',
      address,
      made,
    ]),
    createSessionFromArray: status<
      [environment: Handle, model: Uint8Array, length: number, options: Handle, made: Box]
    >('CreateSessionFromArray', [address, 'const void *', 'size_t', address, made]),
    releaseSession: free('ReleaseSession'),
    createSessionOptions: status<[made: Box]>('CreateSessionOptions', [made]),
    releaseSessionOptions: free('ReleaseSessionOptions'),
    setOptimizedModelPath: status<[options: Handle, path: string]>('SetOptimizedModelFilePath', [
      address,
      'const char *',
    ]),
    disableMemoryPattern: status<[options: Handle]>('DisableMemPattern', [address]),
    setLogLevel: status<[options: Handle, level: number]>('SetSessionLogSeverityLevel', [address, 'int']),
    setOptimization: status<[options: Handle, level: number]>('SetSessionGraphOptimizationLevel', [address, 'int']),
    setThreads: status<[options: Handle, count: number]>('SetIntraOpNumThreads', [address, 'int']),
    setDeterministic: status<[options: Handle, value: boolean]>('SetDeterministicCompute', [address, 'bool']),
    addSessionEntry: status<[options: Handle, key: string, value: string]>('AddSessionConfigEntry', [
      address,
      'const char *',
      'const char *',
    ]),

    createCudaOptions: status<[made: Box]>('CreateCUDAProviderOptions', [made]),
    releaseCudaOptions: free('ReleaseCUDAProviderOptions'),
    updateCudaOptions: status<[options: Handle, keys: readonly string[], values: readonly string[], count: number]>(
      'UpdateCUDAProviderOptions',
      [address, 'const char **', 'const char **', 'size_t'],
    ),
    appendCuda: status<[options: Handle, cuda: Handle]>('SessionOptionsAppendExecutionProvider_CUDA_V2', [
      address,
      address,
    ]),

    createRunOptions: status<[made: Box]>('CreateRunOptions', [made]),
    releaseRunOptions: free('ReleaseRunOptions'),
    addRunEntry: status<[options: Handle, key: string, value: string]>('AddRunConfigEntry', [
      address,
      'const char *',
      'const char *',
    ]),
    terminate: status<[options: Handle]>('RunOptionsSetTerminate', [address]),

    createCpuMemory: status<[allocator: number, type: number, made: Box]>('CreateCpuMemoryInfo', ['int', 'int', made]),
    createMemory: status<[name: string, allocator: number, device: number, type: number, made: Box]>(
      'CreateMemoryInfo',
      // The fifth is where the object goes.
      ['const char *', 'int', 'int', 'int', made],
    ),
    releaseMemory: free('ReleaseMemoryInfo'),
    defaultAllocator: status<[made: Box]>('GetAllocatorWithDefaultOptions', [made]),
    createAllocator: status<[session: Handle, memory: Handle, made: Box]>('CreateAllocator', [address, address, made]),
    releaseAllocator: free('ReleaseAllocator'),
    freeWith: status<[allocator: Handle, memory: Handle]>('AllocatorFree', [address, address]),

    createValue: status<[allocator: Handle, shape: BigInt64Array, rank: number, type: number, made: Box]>(
      'CreateTensorAsOrtValue',
      [address, 'const int64_t *', 'size_t', 'int', made],
    ),
    createValueOver: status<
      [memory: Handle, data: Uint8Array, bytes: number, shape: BigInt64Array, rank: number, type: number, made: Box]
    >('CreateTensorWithDataAsOrtValue', [address, 'void *', 'size_t', 'const int64_t *', 'size_t', 'int', made]),
    releaseValue: free('ReleaseValue'),
    valueData: status<[value: Handle, data: Box]>('GetTensorMutableData', [address, made]),
    typeAndShape: status<[value: Handle, made: Box]>('GetTensorTypeAndShape', [address, made]),
    releaseTypeAndShape: free('ReleaseTensorTypeAndShapeInfo'),
    elementType: status<[info: Handle, type: [number]]>('GetTensorElementType', [
      address,
      koffi.out(koffi.pointer('int')),
    ]),
    rank: status<[info: Handle, rank: [number]]>('GetDimensionsCount', [address, koffi.out(koffi.pointer('size_t'))]),
    dimensions: status<[info: Handle, dimensions: BigInt64Array, rank: number]>('GetDimensions', [
      address,
      'int64_t *',
      'size_t',
    ]),

    createBinding: status<[session: Handle, made: Box]>('CreateIoBinding', [address, made]),
    releaseBinding: free('ReleaseIoBinding'),
    bindInput: status<[binding: Handle, name: string, value: Handle]>('BindInput', [address, 'const char *', address]),
    bindOutput: status<[binding: Handle, name: string, value: Handle]>('BindOutput', [
      address,
      'const char *',
      address,
    ]),
    bindOutputToDevice: status<[binding: Handle, name: string, memory: Handle]>('BindOutputToDevice', [
      address,
      'const char *',
      address,
    ]),
    runWithBinding: status<[session: Handle, options: Handle, binding: Handle]>('RunWithBinding', [
      address,
      address,
      address,
    ]),
    boundOutputs: status<[binding: Handle, allocator: Handle, values: Box, count: [number]]>('GetBoundOutputValues', [
      address,
      address,
      made,
      koffi.out(koffi.pointer('size_t')),
    ]),
    /** Each table of addresses must stay where it is until `ended` is called. */
    runAsync: status<
      [
        session: Handle,
        options: Handle,
        inputNames: BigUint64Array,
        inputs: BigUint64Array,
        inputCount: number,
        outputNames: BigUint64Array,
        outputCount: number,
        outputs: BigUint64Array,
        ended: Handle,
        data: Handle,
      ]
    >('RunAsync', [
      address,
      address,
      'const void *',
      'const void *',
      'size_t',
      'const void *',
      'size_t',
      'void *',
      koffi.pointer(runEnded),
      address,
    ]),
    releaseCapture: status<[session: Handle, id: number]>('SessionReleaseCapturedGraph', [address, 'int']),

    /** A function for the end of `runAsync`, which calls it once, from a thread of its own. */
    registerRunEnded: (ended: (data: Handle | null, outputs: Handle, count: number, status: Status) => void): Handle =>
      koffi.register(ended, koffi.pointer(runEnded)),
    unregister: (callback: Handle): void => koffi.unregister(callback),
    /** Of memory that JavaScript holds. It stays as long as the array is referenced. */
    addressOf: (array: Uint8Array): Handle => koffi.address(array),
    /** A copy of bytes at an address. */
    bytesAt: (start: Handle, length: number): ArrayBuffer => koffi.view(start, length).slice(0),
    addressesAt: (start: Handle, count: number): Handle[] =>
      koffi.decode(start, koffi.array('void *', count)) as Handle[],
  };
}
