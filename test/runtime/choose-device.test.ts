/** `--device` and `--dtype` against what a runtime reports. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Text2ImgError } from '../../src/errors/text2img-error.ts';
import { chooseDevice } from '../../src/runtime/choose-device.ts';
import type { DeviceReport, Runtime } from '../../src/runtime/contract.ts';

const CUDA: DeviceReport = { device: 'cuda:0', kind: 'gpu', computeTypes: ['float32', 'float16'] };
const ABSENT: DeviceReport = {
  device: 'cuda:0',
  kind: 'gpu',
  computeTypes: [],
  problem: 'no driver',
  advice: 'Install it.',
};
const HALFLESS: DeviceReport = { ...CUDA, computeTypes: ['float32'], problem: 'no kernels' };

/** A machine with one device beside the processor. */
function machine(report?: DeviceReport): Pick<Runtime, 'devices'> & { readonly tried: unknown[] } {
  const tried: unknown[] = [];
  return {
    tried,
    devices: async ({ only } = {}) => {
      tried.push(only);
      return report === undefined ? [] : [{ ...report, device: only ?? report.device }];
    },
  };
}

for (const [device, dtype, report, expected] of [
  ['auto', 'auto', CUDA, ['cuda:0', 'gpu', 'float16', 'a CUDA GPU answers']],
  ['auto', 'auto', ABSENT, ['cpu', 'cpu', 'float32', 'no GPU, generating on the CPU', 'no driver']],
  ['auto', 'float32', CUDA, ['cuda:0', 'gpu', 'float32', 'a CUDA GPU answers']],
  ['cuda', 'auto', HALFLESS, ['cuda:0', 'gpu', 'float32', 'asked for; float16 does not work on it', 'no kernels']],
  ['cuda:3', 'float16', CUDA, ['cuda:3', 'gpu', 'float16', 'asked for']],
  ['webgpu', 'auto', CUDA, ['webgpu', 'gpu', 'float16', 'asked for']],
] as const)
  test(`${device} and ${dtype} where ${report.problem ?? 'a GPU answers'}: ${expected[0]}, ${expected[2]}, ${expected[3]}`, async () => {
    const { device: chosen, kind, computeType, reason, detail } = await chooseDevice([machine(report)], device, dtype);
    assert.deepEqual([chosen, kind, computeType, reason, ...(detail === undefined ? [] : [detail])], expected);
  });

test('auto on a machine whose GPU cannot be used takes the CPU, and warns', async () => {
  const broken = { ...ABSENT, problem: 'the driver was upgraded', advice: 'Restart the machine.', hasGpu: true };
  const chosen = await chooseDevice([machine(broken)], 'auto', 'auto');
  assert.deepEqual([chosen.device, chosen.reason], ['cpu', 'the GPU cannot be used, generating on the CPU']);
  assert.match(chosen.warning ?? '', /cannot be used: the driver was upgraded\. Restart the machine\.$/);
  assert.equal((await chooseDevice([machine(ABSENT)], 'auto', 'auto')).warning, undefined);
});

test('the processor is not tried, and computes in float32 whatever is asked for', async () => {
  const runtime = machine(ABSENT);
  const chosen = await chooseDevice([runtime], 'cpu', 'float16');
  assert.deepEqual([chosen.device, chosen.computeType, runtime.tried], ['cpu', 'float32', []]);
  assert.match(chosen.reason, /float16 was asked for, but the CPU computes in float32/);
});

test('a device that does not answer is device_unavailable, with the problem and what to do', async () => {
  for (const [runtime, says] of [
    [machine(ABSENT), /"cuda:1" cannot be used: no driver\. Install it\.$/],
    [machine(), /"cuda:1" cannot be used: no runtime has a device "cuda:1"\.$/],
  ] as const)
    await assert.rejects(
      chooseDevice([runtime], 'cuda:1', 'auto'),
      (error) => error instanceof Text2ImgError && error.code === 'device_unavailable' && says.test(error.message),
    );
});

test('the first runtime that can use the device is taken, and the first says what is wrong where none can', async () => {
  const [none, first, second] = [machine(ABSENT), machine(CUDA), machine(CUDA)];
  for (const device of ['cuda:0', 'auto'])
    assert.equal((await chooseDevice([none, first, second], device, 'auto')).runtime, first);
  assert.deepEqual(second.tried, []);
  assert.equal((await chooseDevice([none, first], 'cpu', 'auto')).runtime, none, 'the preferred one has the processor');
  await assert.rejects(chooseDevice([none, machine()], 'cuda:0', 'auto'), { message: /no driver\. Install it\./ });
});

test('what is no device is invalid_option', async () => {
  for (const device of ['', 'gpu', 'cuda:', 'cuda:x', 'cuda:1000', 'CPU', '__proto__'])
    await assert.rejects(
      chooseDevice([machine(CUDA)], device, 'auto'),
      (error) =>
        error instanceof Text2ImgError &&
        error.code === 'invalid_option' &&
        /allowed: auto, cpu, cuda, cuda:N, webgpu/.test(error.message),
    );
});
