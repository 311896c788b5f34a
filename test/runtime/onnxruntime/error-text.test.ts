/** The first message was seen with onnxruntime-node 1.30 on a machine without a GPU; the others have the form that its macros give them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { errorText } from '../../../src/runtime/onnxruntime/error-text.ts';

test('an error tells what happened, without ONNX Runtime’s source path and signature', () => {
  const place =
    '/onnxruntime_src/onnxruntime/core/providers/webgpu/webgpu_context.cc:136 onnxruntime::webgpu::WebGpuContext::Initialize(const onnxruntime::webgpu::WebGpuContextConfig&)::<lambda()>';
  for (const [message, text] of [
    [
      `${place} adapter_result.status == wgpu::RequestAdapterStatus::Success was false. Failed to get a WebGPU adapter: No supported adapters`,
      'Failed to get a WebGPU adapter: No supported adapters',
    ],
    [
      'Load model failed: /onnxruntime_src/onnxruntime/core/graph/model.cc:181 onnxruntime::Model::Model(ModelProto&&, const PathString&, const Logger&) Unsupported model IR version: 99\nmore',
      'Load model failed: Unsupported model IR version: 99',
    ],
    ['D:\\a\\onnxruntime\\core\\x.cc:7 void onnxruntime::f(int (*)(int)) const it is lost', 'it is lost'],
    [
      // w-okada/voice-changer#1451, and the places of microsoft/onnxruntime#14030
      '/onnxruntime_src/onnxruntime/core/providers/cuda/cuda_call.cc:122 bool onnxruntime::CudaCall(ERRTYPE, const char*, const char*, ERRTYPE, const char*) [with ERRTYPE = cudaError; bool THRW = true] /onnxruntime_src/onnxruntime/core/providers/cuda/cuda_call.cc:116 bool onnxruntime::CudaCall(ERRTYPE, const char*, const char*, ERRTYPE, const char*) [with ERRTYPE = cudaError; bool THRW = true] CUDA failure 1: invalid argument ; GPU=0 ; hostname=DESKTOP ; expr=cudaMemcpy(a, b, 4, cudaMemcpyHostToDevice);',
      'CUDA failure 1: invalid argument',
    ],
    ['Failed to load shared library', 'Failed to load shared library'],
    ['', ''],
  ] as const)
    assert.equal(errorText(message), text);
});

test('where nothing but the place is said, it stays', () => {
  for (const message of ['/a/b.cc:1 f(int)', '/a/b.cc:1 f(int) x > 0 was false. ', '/a/b.cc:1 ((((('])
    assert.notEqual(errorText(message).trim(), '');
});
