/**
 * How CUDA, its libraries, ONNX Runtime and NVIDIA's driver say that a GPU cannot be used: for each text a code, a sentence and advice.
 * Sources: `cudaGetErrorString` and `cudnnGetErrorString` for the named members of `cudaError`, `cudnnStatus_t` and `cublasStatus_t`. ONNX Runtime
 * writes "CUDA failure N: text ; GPU=0 ; …" (core/providers/cuda/cuda_call.cc) or "CUDA error name:text" around them. The driver's texts are NVML's
 * (`nvmlErrorString`) and nvidia-smi's. `test/lib/gpu-errors.test.ts` has a message out of a public issue for each.
 */
import type { ErrorCode } from '../errors/error-codes.ts';
import { excerpt } from './foreign-text.ts';

/**
 * `device_unavailable`: nothing can run on it until somebody mends the machine. `device_lost`: it failed by itself while it worked; its process is of
 * no use any more. `engine_crashed`: the process is of no use either, but the work may be the cause, so the attempt counts.
 */
type GpuFaultCode = Extract<
  ErrorCode,
  'device_unavailable' | 'device_lost' | 'engine_crashed' | 'engine_out_of_memory'
>;

export interface GpuFault {
  readonly code: GpuFaultCode;
  /** Without a full stop, and without the device's name. */
  readonly problem: string;
  /** A sentence. */
  readonly advice: string;
}

interface Row extends Omit<GpuFault, 'problem'> {
  readonly pattern: RegExp;
  /** A function gets what the pattern found. */
  readonly problem: string | ((found: RegExpExecArray) => string);
}

/** CUDA 13 needs it. Source: CUDA 13.0 release notes, "CUDA Driver", and their list of compute capabilities that were removed. */
export const LEAST_DRIVER = 580;
/** CUDA 13 has no kernels for older ones. */
export const LEAST_COMPUTE_CAPABILITY = 7.5;

const SETUP = 'Run "text2img setup cuda", which downloads CUDA’s libraries.';
const DRIVER = `Install an NVIDIA driver of version ${LEAST_DRIVER} or newer; start a container with --gpus all.`;
const RESTART = 'Restart the machine; if it happens again, the GPU, its power supply or its slot is faulty.';
const WATCH = '"nvidia-smi" shows the GPU, and "dmesg | grep -i xid" shows what the driver noted.';
const NEIGHBOURS = '"nvidia-smi" shows which programs use its memory; end them, or use a smaller size or another GPU.';

/** The first that fits. */
const ROWS: readonly Row[] = [
  // Memory: CUDNN_STATUS_ALLOC_FAILED, CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED, CUBLAS_STATUS_ALLOC_FAILED, cudaErrorMemoryAllocation (2).
  {
    pattern:
      /CU(?:DNN|BLAS|BLASLT|RAND)_STATUS_(?:\w*_)?ALLOC(?:ATION)?_FAILED|CUDA (?:failure 2\b|error cudaErrorMemoryAllocation)/,
    code: 'engine_out_of_memory',
    problem: 'the GPU has no memory left',
    advice: NEIGHBOURS,
  },
  // The loader: dlerror() of the provider's own library and of those that it needs.
  {
    pattern: /libcuda\.so(?:\.1)?: cannot open shared object file/,
    code: 'device_unavailable',
    problem: 'NVIDIA’s driver is not installed (libcuda.so.1 is missing)',
    advice: DRIVER,
  },
  {
    pattern: /(lib(?:cu|nv|onnxruntime_providers)[\w.+-]{1,80}\.so[\d.]{0,20}): cannot open shared object file/,
    code: 'device_unavailable',
    problem: ([, library]) => `the library ${library} is missing`,
    advice: SETUP,
  },
  // cuDNN 9 opens its parts when it needs them. CUDNN_STATUS_SUBLIBRARY_LOADING_FAILED, CUDNN_STATUS_SUBLIBRARY_VERSION_MISMATCH.
  {
    pattern:
      /Unable to load any of \{(libcudnn\w*)|Could not (?:load library|locate) (\S{0,40}cudnn\S{0,40})|Cannot load symbol cudnn|CUDNN_STATUS_SUBLIBRARY_\w+/,
    code: 'device_unavailable',
    problem: ([, one, two]) => `cuDNN is not complete${(one ?? two) ? ` (${one ?? two})` : ''}`,
    advice: SETUP,
  },
  {
    pattern: /libonnxruntime_providers_\w+\.so[^\n]{0,200}(undefined symbol|version `[\w.]+' not found)/,
    code: 'device_unavailable',
    problem: ([, reason]) => `ONNX Runtime’s CUDA provider does not fit to this system (${reason})`,
    advice: 'Use the container image, or a Linux with glibc 2.28 or newer.',
  },
  // The driver. NVML_ERROR_LIB_RM_VERSION_MISMATCH, cudaErrorSystemDriverMismatch (803).
  {
    pattern: /Driver\/library version mismatch|unsupported display driver \/ cuda driver combination/i,
    code: 'device_unavailable',
    problem: 'NVIDIA’s driver was upgraded, and the kernel still has the old one',
    advice: 'Restart the machine. A container must be started again after that.',
  },
  // cudaErrorInsufficientDriver (35), cudaErrorCallRequiresNewerDriver (36), cudaErrorUnsupportedPtxVersion (222), cudaErrorCompatNotSupportedOnDevice (804).
  {
    pattern:
      /driver version is insufficient|not supported in the installed CUDA driver|compiled with an unsupported toolchain|forward compatibility was attempted/i,
    code: 'device_unavailable',
    problem: 'NVIDIA’s driver is too old for CUDA 13, or there is none',
    advice: DRIVER,
  },
  // nvidia-smi's own sentences.
  {
    pattern: /couldn['’‘]t communicate with the NVIDIA driver/i,
    code: 'device_unavailable',
    problem: 'NVIDIA’s driver does not run',
    advice: 'Load it with "sudo modprobe nvidia", install it again, or restart the machine.',
  },
  {
    pattern:
      /fallen off the bus|GPU is lost|Unable to de(?:termine|tect) the device handle|GPU requires reset|\bXid\b/i,
    code: 'device_lost',
    problem: 'the GPU is lost to the driver',
    advice: RESTART,
  },
  // cudaErrorECCUncorrectable (214), cudaErrorNvlinkUncorrectable (220).
  {
    pattern: /uncorrectable (?:ECC|NVLink) error/i,
    code: 'device_lost',
    problem: ([text]) => `the GPU’s hardware failed (${text})`,
    advice:
      'Reset it with "sudo nvidia-smi --gpu-reset", or restart the machine; if it happens again, the GPU is faulty.',
  },
  // cudaErrorSystemNotReady (802).
  {
    pattern: /system not yet initialized/i,
    code: 'device_unavailable',
    problem: 'the system is not ready for CUDA: NVIDIA’s fabric manager does not run',
    advice: 'Start it with "sudo systemctl start nvidia-fabricmanager"; its version must be the driver’s.',
  },
  // cudaErrorNoDevice (100), nvidia-smi.
  {
    pattern: /no CUDA-capable device is detected|No devices were found|cudaErrorNoDevice/i,
    code: 'device_unavailable',
    problem: 'CUDA sees no GPU',
    advice: 'CUDA_VISIBLE_DEVICES may hide it; start a container with --gpus all.',
  },
  // cudaErrorInvalidDevice (101).
  {
    pattern: /invalid device ordinal|cudaErrorInvalidDevice\b/i,
    code: 'device_unavailable',
    problem: 'there is no GPU of this number',
    advice: '"text2img doctor" lists the GPUs. CUDA_VISIBLE_DEVICES changes their numbers.',
  },
  // cudaErrorDevicesUnavailable (46).
  {
    pattern: /busy or unavailable/i,
    code: 'device_unavailable',
    problem: 'another program has the GPU for itself, or the GPU does not answer',
    advice: '"nvidia-smi" shows the programs; "sudo nvidia-smi -c DEFAULT" lets several share it.',
  },
  // cudaErrorNoKernelImageForDevice (209), CUBLAS_STATUS_ARCH_MISMATCH, CUDNN_STATUS_ARCH_MISMATCH.
  {
    pattern: /no kernel image is available|CU(?:BLAS|DNN)_STATUS_ARCH_MISMATCH/i,
    code: 'device_unavailable',
    problem: 'ONNX Runtime has no kernels for this GPU',
    advice: `It needs compute capability ${LEAST_COMPUTE_CAPABILITY} or newer; "text2img doctor" shows the GPU’s. Use --device cpu.`,
  },
  // cudaErrorMpsConnectionFailed (805) and those after it.
  {
    pattern: /MPS (?:client|server|control daemon)/,
    code: 'device_unavailable',
    problem: 'CUDA’s Multi-Process Service does not answer',
    advice: 'Start it again, or end it with "echo quit | nvidia-cuda-mps-control".',
  },
  // cudaErrorInitializationError (3), cudaErrorOperatingSystem (304).
  {
    pattern: /CUDA failure (?:3|304): ([^;\n]{0,80})/,
    code: 'device_unavailable',
    problem: ([, text = '']) => `CUDA cannot start (${text.trim()})`,
    advice: 'Load the driver’s module with "sudo modprobe nvidia-uvm"; a container needs --gpus all.',
  },
  // CUDNN_STATUS_NOT_INITIALIZED, CUBLAS_STATUS_NOT_INITIALIZED: of their first call.
  {
    pattern: /(CU(?:DNN|BLAS)_STATUS_NOT_INITIALIZED)/,
    code: 'device_unavailable',
    problem: ([text]) => `cuDNN or cuBLAS cannot start on the GPU (${text})`,
    advice: `The driver is older than ${LEAST_DRIVER}, or other programs use all of the GPU’s memory: "nvidia-smi" shows both.`,
  },
  // cudaErrorIllegalAddress (700), cudaErrorLaunchTimeout (702), cudaErrorAssert (710) and those up to cudaErrorLaunchFailure (719).
  {
    pattern:
      /illegal memory access|launch timed out|device-side assert|hardware stack error|illegal instruction|misaligned address|invalid program counter|operation not supported on global\/shared address space|unspecified launch failure/i,
    code: 'engine_crashed',
    problem: ([text]) => `CUDA’s work on the GPU failed (${text})`,
    advice: WATCH,
  },
  // CUDNN_STATUS_EXECUTION_FAILED…, CUBLAS_STATUS_EXECUTION_FAILED and their internal errors.
  {
    pattern: /(CU(?:DNN|BLAS)_STATUS_(?:EXECUTION_FAILED|INTERNAL_ERROR|MAPPING_ERROR)\w*)/,
    code: 'engine_crashed',
    problem: ([text]) => `CUDA’s work on the GPU failed (${text})`,
    advice: WATCH,
  },
  // cudaErrorUnknown (999): also of a GPU that fell off the bus.
  {
    pattern: /CUDA failure 999\b|cudaErrorUnknown/,
    code: 'device_lost',
    problem: 'the GPU stopped answering',
    advice: `${WATCH} Restart the machine if it does not come back.`,
  },
  // ONNX Runtime, core/providers/webgpu: Dawn's callback for a lost device.
  {
    pattern: /WebGPU device (?:was )?lost|Device (?:is|was) lost/i,
    code: 'device_lost',
    problem: 'the GPU’s driver ended the connection to the GPU',
    advice: 'The system’s log says why; another program may have hung the GPU.',
  },
];

/** Longer messages are file names and frames of C++. */
const LOOKED_AT_LENGTH = 10_000;
const PROBLEM_LENGTH = 200;

/** @param text a runtime's message, or lines that a process left behind @returns undefined where it speaks of something else */
export function gpuFault(text: string): GpuFault | undefined {
  const head = text.slice(0, LOOKED_AT_LENGTH);
  for (const { pattern, code, problem, advice } of ROWS) {
    const found = pattern.exec(head);
    if (found === null) continue;
    return { code, problem: excerpt(typeof problem === 'string' ? problem : problem(found), PROBLEM_LENGTH), advice };
  }
  return undefined;
}
