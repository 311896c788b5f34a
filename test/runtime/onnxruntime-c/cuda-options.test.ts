/** The CUDA provider's options. Without a GPU the provider itself still says which keys it knows, where its libraries are. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { ONNX_RUNTIME_C } from '../../../src/runtime/registry.ts';
import { cudaOptionsFor, makeCudaOptions } from '../../../src/runtime/onnxruntime-c/cuda-options.ts';
import { openEnvironment } from '../../../src/runtime/onnxruntime-c/environment.ts';
import { libraryFolders } from '../../../src/runtime/onnxruntime/library-folders.ts';
import { additionGraph } from '../../../src/runtime/addition-graph.ts';
import { NO_C_API } from './no-c-api.ts';

const hasProvider = libraryFolders(process.env).some((folder) =>
  existsSync(join(folder, 'libonnxruntime_providers_cuda.so')),
);
const NO_PROVIDER =
  !hasProvider &&
  `THE CUDA PROVIDER’S OPTIONS ARE NOT TESTED: run "text2img setup cuda", and the test with LD_LIBRARY_PATH=${join(homedir(), '.local', 'share', 'text2img')}/cuda-onnxruntime-1.30.0`;

test('runs are recorded and TF32 is off only where that is asked for', () => {
  const always = {
    device_id: '1',
    cudnn_conv_algo_search: 'HEURISTIC',
    arena_extend_strategy: 'kSameAsRequested',
    use_ep_level_unified_stream: '1',
  };
  const plain = { deviceId: 1, capture: false, deterministic: false };
  assert.deepEqual(cudaOptionsFor(plain), always);
  assert.deepEqual(cudaOptionsFor({ ...plain, capture: true }), { ...always, enable_cuda_graph: '1' });
  assert.deepEqual(cudaOptionsFor({ ...plain, deterministic: true }), { ...always, use_tf32: '0' });
});

suite('the CUDA provider through the C API', { skip: NO_C_API }, () => {
  test('options are made without the provider; a session without it is refused with the command that brings it', {
    skip: hasProvider,
  }, async () => {
    const environment = await openEnvironment();
    const { functions } = environment;
    using made = environment.own((box) => functions.createCudaOptions(box), functions.releaseCudaOptions);
    assert.notEqual(made.address, 0n);
    const options = {
      device: 'cuda:0',
      computeType: 'float32',
      threads: 1,
      use: 'every-step',
      deterministic: true,
    } as const;
    await assert.rejects(ONNX_RUNTIME_C.open(additionGraph('float32'), options), {
      code: 'device_unavailable',
      message: /text2img setup cuda/,
    });
  });

  test('the provider takes every key that is given to it and no other', { skip: NO_PROVIDER }, async () => {
    const environment = await openEnvironment();
    const { device_id: _, ...keys } = cudaOptionsFor({ deviceId: 0, capture: true, deterministic: true });
    makeCudaOptions(environment, keys)[Symbol.dispose]();
    for (const [key, value] of Object.entries(keys)) makeCudaOptions(environment, { [key]: value })[Symbol.dispose]();
    assert.throws(() => makeCudaOptions(environment, { ...keys, no_such_option: '1' }), { code: 'inference_failed' });
  });
});
