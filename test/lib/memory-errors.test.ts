/** Refusals of memory, as the libraries word them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { memoryRefusal } from '../../src/lib/memory-errors.ts';

for (const [said, quoted] of [
  // ulimit -v 6000000; text2img generate
  [
    '/onnxruntime_src/onnxruntime/core/platform/posix/env.cc:251 onnxruntime::{anonymous}::PosixThread::PosixThread(const char*, int) pthread_create failed, error code: 12 error msg: Cannot allocate memory',
    'Cannot allocate memory',
  ],
  ["terminate called after throwing an instance of 'std::bad_alloc'", "bad_alloc'"],
  [
    'bfc_arena.cc:376 AllocateRawInternal(size_t, bool) Failed to allocate memory for requested buffer of size 16777216',
    'Failed to allocate memory for requested buffer of size 16777216',
  ],
  [
    'env.cc:400 MapFileIntoMemory mmap of /m/model.onnx.data failed: errno 12\nframe',
    'mmap of /m/model.onnx.data failed: errno 12',
  ],
  // hacksider/Deep-Live-Cam#584 and fudan-generative-vision/hallo#218
  ['CudaCall CUDA failure 2: out of memory ; GPU=0 ; hostname=DESKTOP ; file=x.cc ; line=175', 'out of memory'],
  [
    'CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED ; GPU=0 ; hostname=egg ; expr=cublasCreate(&cublas_handle_);',
    'STATUS_ALLOC_FAILED',
  ],
  ['FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory', 'out of memory'],
] as const) {
  test(`a refusal of memory is known and quoted without the paths before it: ${said.slice(0, 40)}`, () => {
    assert.equal(memoryRefusal(said), quoted);
  });
}

test('other failures are none, and a message of megabytes takes no time', () => {
  assert.equal(memoryRefusal('Got invalid dimensions for input: latent_sample'), undefined);
  assert.equal(memoryRefusal('mmap '.repeat(1_000_000)), undefined);
});
