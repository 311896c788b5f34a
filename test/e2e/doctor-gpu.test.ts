/** `doctor` on a machine whose NVIDIA driver is behind, seen by its users. nvidia-smi is a stand-in in PATH. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { environmentWithSmi, H100, NO_SCRIPTS, rows } from '../runtime/nvidia/foreign-smi.ts';
import { root, runCli, temporaryFolder } from './run-cli.ts';

suite('doctor about a GPU', { skip: NO_SCRIPTS }, () => {
  test('a driver that is too old is a problem with its cure, but none for a user of the CPU', async (t) => {
    const gpu = { ...H100, driver_version: '550.54.15' };
    const { PATH = '' } = environmentWithSmi(t, { stdout: rows(gpu), table: 'CUDA Version: 12.4' });
    const environment = { PATH, TEXT2IMG_DATA_DIR: join(temporaryFolder(), 'data') };
    const doctor = (...more: string[]) =>
      runCli({ args: ['doctor', '--model', join(root, 'models', 'demo'), ...more], environment });
    const { code, stdout } = await doctor();
    assert.match(
      stdout,
      /^✗ gpu +NVIDIA H100 80GB HBM3, .*driver 550\.54\.15 for CUDA 12\.4, CUDA 13 needs driver 580 or newer\n +→ install/m,
    );
    assert.match(stdout, /^– device cuda /m);
    assert.equal(code, 5);
    const cpu = await doctor('--device', 'cpu');
    assert.match(cpu.stdout, /^– gpu +NVIDIA H100/m);
    assert.equal(cpu.code, 0);
  });
});
