/** Options about the runtime that exclude each other, before anything is opened. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkRuntimeOptions } from '../../src/config/check-runtime.ts';
import { type LoadSources, loadConfig } from '../../src/config/load.ts';

async function check(flags: NonNullable<LoadSources['flags']>): Promise<void> {
  checkRuntimeOptions((await loadConfig({ command: 'run', flags, environment: { HOME: '/home/none' } })).config);
}

for (const [flags, message] of [
  [
    { weights: 'int8', device: 'cuda' },
    /^--weights int8 is for the CPU .*--device cuda; give --device cpu, or --weights float/,
  ],
  [{ weights: 'int8', device: 'webgpu' }, /--device webgpu/],
  [{ weights: 'int8', device: 'cuda:0,cuda:1' }, /--device cuda:0/],
  [{ runtime: 'openvino', device: 'cuda' }, /^--runtime openvino is for the CPU/],
  [
    { runtime: 'openvino', dtype: 'float16' },
    /computes in float32 or bfloat16 .*--dtype float16; give auto, float32 or/,
  ],
  [{ dtype: 'bfloat16', device: 'cuda' }, /^--dtype bfloat16 is for the CPU/],
  [{ dtype: 'bfloat16', runtime: 'onnxruntime' }, /needs OpenVINO/],
  [{ dtype: 'bfloat16', runtime: 'onnxruntime-c' }, /needs OpenVINO .*--runtime onnxruntime-c/],
  [{ runtime: 'onnxruntime-c', device: 'webgpu' }, /^--runtime onnxruntime-c is for the CPU and CUDA/],
  [{ dtype: 'bfloat16', deterministic: 'on' }, /^--deterministic takes ONNX Runtime/],
] as const)
  test(`${JSON.stringify(flags)} is refused in a sentence`, async () => {
    await assert.rejects(check(flags), { code: 'conflicting_options', message });
  });

for (const flags of [
  { weights: 'int8' },
  { weights: 'int8', device: 'cpu', deterministic: 'on' },
  { weights: 'int8', dtype: 'bfloat16' },
  { weights: 'int8', runtime: 'openvino' },
  { runtime: 'openvino', dtype: 'bfloat16' },
  // Nothing but a note is said of float16 on a CPU, so that one configuration fits machines with and without a GPU.
  { runtime: 'onnxruntime', dtype: 'float16' },
  { weights: 'int8', 'low-memory': 'on', dtype: 'float32' },
  { weights: 'float', device: 'cuda' },
  { runtime: 'onnxruntime-c', device: 'cuda:0,cuda:1' },
  { runtime: 'onnxruntime-c', weights: 'int8', deterministic: 'on' },
] as const)
  test(`${JSON.stringify(flags)} is allowed`, async () => {
    await check(flags);
  });

test('a type of weights that does not exist is refused with those that do', async () => {
  await assert.rejects(check({ weights: 'int4' }), {
    code: 'invalid_option',
    message: '--weights "int4" is not allowed. Did you mean "int8"? It must be float or int8.',
  });
});

for (const [flags, message] of [
  [
    { runtime: 'tensorrt' },
    '--runtime "tensorrt" is not allowed; it must be auto, onnxruntime, onnxruntime-c or openvino.',
  ],
  [{ dtype: 'int4' }, '--dtype "int4" is not allowed; it must be auto, float32, float16 or bfloat16.'],
  [{ deepCache: '1' }, '--deep-cache "1" is not allowed; it must be a whole number, at least 2, or 0 for off.'],
] as const)
  test(`${JSON.stringify(flags)} is refused with the values that are allowed`, async () => {
    await assert.rejects(check(flags), { code: 'invalid_option', message });
  });
