/** Why a CUDA device cannot be used: the runtime's message with what nvidia-smi says. The messages are ONNX Runtime's. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { explainDevice } from '../../../src/runtime/nvidia/explain-device.ts';
import { environmentWithSmi, H100, NO_SCRIPTS, rows, T4 } from './foreign-smi.ts';

const NO_DEVICE =
  'CUDA failure 100: no CUDA-capable device is detected ; GPU=32712 ; hostname=x ; expr=cudaSetDevice(info_.device_id);';
const ORDINAL = 'CUDA failure 101: invalid device ordinal ; GPU=0 ; hostname=x ; expr=cudaSetDevice(info_.device_id);';
const NO_DRIVER =
  'Failed to load library libonnxruntime_providers_cuda.so with error: libcuda.so.1: cannot open shared object file: No such file or directory';

suite('a CUDA device that cannot be used', { skip: NO_SCRIPTS }, () => {
  test('a number beyond the last GPU is said with the number of GPUs and their names', async (t) => {
    const same = { ...H100, index: '1', uuid: 'GPU-2' };
    const { problem, advice, hasGpu } = await explainDevice(
      'cuda:7',
      ORDINAL,
      environmentWithSmi(t, { stdout: rows(H100, same) }),
    );
    assert.equal(problem, 'there is no GPU 7: this machine has 2 (cuda:0, cuda:1)');
    assert.match(advice, /--device cuda:0/);
    assert.equal(hasGpu, true);
  });

  test('GPUs that CUDA_VISIBLE_DEVICES hides are said', async (t) => {
    const environment = { ...environmentWithSmi(t, { stdout: rows(H100, T4) }), CUDA_DEVICE_ORDER: 'PCI_BUS_ID' };
    const one = await explainDevice('cuda:1', ORDINAL, { ...environment, CUDA_VISIBLE_DEVICES: '1' });
    assert.equal(one.problem, 'there is no GPU 1: this machine has 1 of 2 that CUDA_VISIBLE_DEVICES allows (cuda:0)');
    const none = await explainDevice('cuda:0', NO_DEVICE, { ...environment, CUDA_VISIBLE_DEVICES: '' });
    assert.equal(none.problem, 'CUDA_VISIBLE_DEVICES hides all 2 GPUs of this machine');
  });

  test('a driver that was upgraded is the reason why CUDA finds no GPU', async (t) => {
    const text = 'Failed to initialize NVML: Driver/library version mismatch';
    const { problem, hasGpu } = await explainDevice(
      'cuda:0',
      NO_DEVICE,
      environmentWithSmi(t, { stdout: text, exitCode: 18 }),
    );
    assert.match(problem, /driver was upgraded/);
    assert.equal(hasGpu, true);
  });

  test('a container without --gpus is told how to start it', async (t) => {
    const environment = { ...environmentWithSmi(t, undefined), KUBERNETES_SERVICE_HOST: '10.0.0.1' };
    const { problem, advice, hasGpu } = await explainDevice('cuda:0', NO_DRIVER, environment);
    assert.equal(problem, 'this container has no GPU');
    assert.match(advice, /--gpus all/);
    assert.equal(hasGpu, false);
  });

  test('what the runtime says is kept where the driver has no better reason', async (t) => {
    const environment = environmentWithSmi(t, { stdout: rows(H100) });
    assert.match(
      (await explainDevice('cuda:0', 'libcudnn.so.9: cannot open shared object file', environment)).problem,
      /libcudnn\.so\.9 is missing/,
    );
    assert.equal((await explainDevice('cuda:0', 'a new message', environment)).problem, 'a new message');
  });
});
