/**
 * What is said about a GPU that cannot be used, as people met it: each text is out of a public issue, which is named beside it. Host names and the
 * middle of long signatures are left out.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ERROR_CODES } from '../../src/errors/error-codes.ts';
import { gpuFault } from '../../src/lib/gpu-errors.ts';

const CALL =
  '/onnxruntime_src/onnxruntime/core/providers/cuda/cuda_call.cc:121 std::conditional_t<THRW, void, onnxruntime::common::Status> onnxruntime::CudaCall(ERRTYPE, const char*, const char*, ERRTYPE, const char*, const char*, int) [with ERRTYPE = cudaError; bool THRW = true] /onnxruntime_src/onnxruntime/core/providers/cuda/cuda_call.cc:114 std::conditional_t<THRW, void, onnxruntime::common::Status> onnxruntime::CudaCall(ERRTYPE, const char*, const char*, ERRTYPE, const char*, const char*, int) [with ERRTYPE = cudaError; bool THRW = true] ';

type Case = readonly [source: string, text: string, code: string, problem: RegExp, advice: RegExp];
const CASES: readonly Case[] = [
  [
    'deepinsight/insightface#2524',
    `${CALL}CUDA failure 100: no CUDA-capable device is detected ; GPU=32712 ; hostname=HOME-PC ; file=/onnxruntime_src/onnxruntime/core/providers/cuda/cuda_execution_provider.cc ; line=245 ; expr=cudaSetDevice(info_.device_id);`,
    'device_unavailable',
    /^CUDA sees no GPU$/,
    /CUDA_VISIBLE_DEVICES.*--gpus all/,
  ],
  [
    'itsnine/yolov5-onnxruntime#20',
    `${CALL}CUDA failure 101: invalid device ordinal ; GPU=0 ; hostname=4dbec2b03d4e ; expr=cudaSetDevice(info_.device_id);`,
    'device_unavailable',
    /no GPU of this number/,
    /text2img doctor/,
  ],
  [
    'onnxruntime/mobius#316',
    `${CALL}CUDA failure 35: CUDA driver version is insufficient for CUDA runtime version ; GPU=-1 ; hostname=c4327188c000000 ; file=/onnxruntime_src/onnxruntime/core/providers/cuda/cuda_execution_provider.cc ; line=336 ; expr=cudaSetDevice(info_.device_id);`,
    'device_unavailable',
    /driver is too old for CUDA 13, or there is none/,
    /version 580 or newer/,
  ],
  [
    'microsoft/onnxruntime#14030',
    `${CALL}CUDA failure 46: all CUDA-capable devices are busy or unavailable ; GPU=0 ; hostname=x ; expr=cudaSetDevice(info_.device_id);`,
    'device_unavailable',
    /another program has the GPU for itself/,
    /nvidia-smi -c DEFAULT/,
  ],
  [
    'AILab-CVC/YOLO-World#385',
    'CUDA error: CUDA-capable device(s) is/are busy or unavailable',
    'device_unavailable',
    /another program/,
    /nvidia-smi/,
  ],
  [
    'microsoft/onnxruntime#14211',
    `${CALL}CUDA failure 999: unknown error ; GPU=192915439 ; expr=cudaSetDevice(info_.device_id);`,
    'device_lost',
    /stopped answering/,
    /dmesg/,
  ],
  [
    'microsoft/onnxruntime#8381',
    `${CALL}CUDA failure 3: initialization error ; GPU=140341504 ; hostname=TeslaP100 ; expr=cudaSetDevice(info_.device_id);`,
    'device_unavailable',
    /CUDA cannot start \(initialization error\)/,
    /nvidia-uvm/,
  ],
  [
    'pytorch/pytorch#35710',
    'cudaGetDeviceProperties returned 802\n-> system not yet initialized',
    'device_unavailable',
    /fabric manager does not run/,
    /systemctl start nvidia-fabricmanager/,
  ],
  [
    'negativo17/nvidia-driver#171',
    'Failed to initialize NVML: Driver/library version mismatch\nNVML library version: 570.86',
    'device_unavailable',
    /driver was upgraded/,
    /Restart the machine/,
  ],
  [
    'qixuema/envs#4',
    'NVIDIA-SMI has failed because it couldn‘t communicate with the NVIDIA driver. Make sure that the latest NVIDIA driver is installed and running.',
    'device_unavailable',
    /driver does not run/,
    /modprobe nvidia/,
  ],
  [
    'JosephKJ/OWOD#81',
    'Unable to determine the device handle for GPU 0000:02:00.0: GPU is lost. Reboot the system to recover this GPU',
    'device_lost',
    /lost to the driver/,
    /Restart the machine/,
  ],
  [
    'pop-os/pop#3363',
    "NVRM: Xid (PCI:0000:01:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus.",
    'device_lost',
    /lost to the driver/,
    /power supply/,
  ],
  [
    'vllm-project/vllm#5222',
    'CUDA error: uncorrectable ECC error encountered',
    'device_lost',
    /hardware failed \(uncorrectable ECC error\)/,
    /--gpu-reset/,
  ],
  [
    'pykeio/ort#321',
    'CUDA failure 700: an illegal memory access was encountered ; GPU=0 ; hostname=10cb601a4a05 ; file=/home/runner/work/onnxruntime/core/providers/cuda/gpu_data_transfer.cc ; line=63 ; expr=cudaMemcpyAsync(dst_data, src_data, bytes, cudaMemcpyHostToDevice, static_cast<cudaStream_t>(stream.GetHandle()));',
    'engine_crashed',
    /failed \(illegal memory access\)/,
    /dmesg/,
  ],
  [
    'C0untFloyd/roop-unleashed#32',
    'CUDA failure 719: unspecified launch failure ; GPU=0 ; hostname=BALYN ; file=D:\\a\\_work\\1\\s\\onnxruntime\\core\\providers\\cuda\\gpu_data_transfer.cc ; line=73 ; expr=cudaMemcpyAsync(dst_data, src_data, bytes, cudaMemcpyDeviceToHost, static_cast<cudaStream_t>(stream.GetHandle()));',
    'engine_crashed',
    /unspecified launch failure/,
    /nvidia-smi/,
  ],
  [
    'microsoft/onnxruntime#22441',
    "Non-zero status code returned while running Sigmoid node. Name:'/model.0/act/Sigmoid' Status Message: CUDA error cudaErrorNoKernelImageForDevice:no kernel image is available for execution on the device",
    'device_unavailable',
    /no kernels for this GPU/,
    /compute capability 7\.5/,
  ],
  [
    'fudan-generative-vision/hallo#218',
    `[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : Exception during initialization: ${CALL}CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED ; GPU=0 ; hostname=egg ; file=/onnxruntime_src/onnxruntime/core/providers/cuda/cuda_execution_provider.cc ; line=164 ; expr=cublasCreate(&cublas_handle_);`,
    'engine_out_of_memory',
    /no memory left/,
    /which programs use its memory/,
  ],
  [
    'hacksider/Deep-Live-Cam#584',
    '[ONNXRuntimeError] : 1 : FAIL : D:\\a\\_work\\1\\s\\onnxruntime\\core\\providers\\cuda\\cuda_call.cc:121 onnxruntime::CudaCall CUDA failure 2: out of memory ; GPU=0 ; hostname=DESKTOP-QUBEI ; file=D:\\a\\_work\\1\\s\\onnxruntime\\core\\providers\\cuda\\cuda_stream_handle.cc ; line=175 ; expr=cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);',
    'engine_out_of_memory',
    /no memory left/,
    /nvidia-smi/,
  ],
  [
    'microsoft/onnxruntime#26322',
    'Exception during initialization: D:\\a\\_work\\1\\s\\onnxruntime\\core\\providers\\cuda\\cuda_call.cc:129 onnxruntime::CudaCall CUDNN failure 1001: CUDNN_STATUS_NOT_INITIALIZED ; GPU=0 ; hostname=PC ; file=D:\\a\\_work\\1\\s\\onnxruntime\\core\\providers\\cuda\\cuda_execution_provider.cc ; line=182 ; expr=cudnnCreate(&cudnn_handle_);',
    'device_unavailable',
    /cannot start on the GPU \(CUDNN_STATUS_NOT_INITIALIZED\)/,
    /older than 580/,
  ],
  [
    'NVIDIA/Model-Optimizer#2326',
    'RuntimeError: CUDNN_BACKEND_TENSOR_DESCRIPTOR cudnnFinalize failed ptrDesc->finalize() cudnn_status: CUDNN_STATUS_SUBLIBRARY_LOADING_FAILED',
    'device_unavailable',
    /^cuDNN is not complete$/,
    /setup cuda/,
  ],
  [
    'modelscope/ms-swift#3390',
    'Unable to load any of {libcudnn_graph.so.9.1.0, libcudnn_graph.so.9.1, libcudnn_graph.so.9, libcudnn_graph.so} Invalid handle. Cannot load symbol cudnnCreate',
    'device_unavailable',
    /cuDNN is not complete \(libcudnn_graph\)/,
    /setup cuda/,
  ],
  [
    'loeeeee/immich-in-lxc#32',
    'onnxruntime::Provider& onnxruntime::ProviderLibrary::Get() [ONNXRuntimeError] : 1 : FAIL : Failed to load library libonnxruntime_providers_cuda.so with error: libcudnn.so.9: cannot open shared object file: No such file or directory',
    'device_unavailable',
    /the library libcudnn\.so\.9 is missing/,
    /setup cuda/,
  ],
  [
    'text2img setup cuda on a machine without a driver, 2026-11-24',
    'Failed to load library libonnxruntime_providers_cuda.so with error: libcuda.so.1: cannot open shared object file: No such file or directory',
    'device_unavailable',
    /driver is not installed/,
    /--gpus all/,
  ],
];

for (const [source, text, code, problem, advice] of CASES)
  test(`${source}: ${code}`, () => {
    const fault = gpuFault(text);
    assert.equal(fault?.code, code);
    assert.match(fault.problem, problem);
    assert.doesNotMatch(fault.problem, /\.$|hostname|onnxruntime_src/);
    assert.match(fault.advice, advice);
    assert.match(fault.advice, /^["A-Z].*\.$/, 'advice is a sentence');
  });

test('what a lost GPU causes is given back; what the work may have caused counts as an attempt', () => {
  const consequences = CASES.map(([, , code]) => [code, ERROR_CODES[code as keyof typeof ERROR_CODES].consequence]);
  assert.deepEqual(Object.fromEntries(consequences), {
    device_unavailable: 'give-back',
    device_lost: 'give-back',
    engine_crashed: 'retry-alone',
    engine_out_of_memory: 'retry-alone',
  });
});

test('failures that say nothing about a GPU are none, and a message of megabytes takes no time', () => {
  for (const text of [
    'Got invalid dimensions for input: latent_sample',
    "Non-zero status code returned while running Conv node. Name:'Conv_3' Status Message: bad shape",
    '',
    'libgomp.so.1: cannot open shared object file: No such file or directory',
    'Unable to load any of {'.repeat(100_000),
    `${'x'.repeat(11_000)} uncorrectable ECC error encountered`,
  ])
    assert.equal(gpuFault(text), undefined, text.slice(0, 40));
});

test('foreign parts of a sentence are escaped and bounded', () => {
  const fault = gpuFault(`CUDA failure 304: \u001b[31m${'long '.repeat(1000)} ; GPU=0`);
  assert.ok(fault !== undefined && fault.problem.length <= 200);
  assert.ok(!fault.problem.includes('\u001b'));
});
