/** What `doctor` says about NVIDIA's GPUs. nvidia-smi is a stand-in in PATH. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { inspectGpus } from '../../src/cli/doctor-gpu.ts';
import { environmentWithSmi, H100, NO_SCRIPTS, rows, T4 } from '../runtime/nvidia/foreign-smi.ts';

const TABLE = '| NVIDIA-SMI 580.95.05  Driver Version: 580.95.05  CUDA Version: 13.0 |';

suite('doctor about GPUs', { skip: NO_SCRIPTS }, () => {
  test('a GPU is named with memory, compute capability, driver and CUDA version', async (t) => {
    assert.deepEqual(await inspectGpus(environmentWithSmi(t, { stdout: rows(H100), table: TABLE })), [
      {
        name: 'gpu',
        status: 'ok',
        detail:
          'NVIDIA H100 80GB HBM3, 85.5 GB, 83.9 GB of it free, compute capability 9.0, driver 580.95.05 for CUDA 13.0',
      },
    ]);
  });

  test('several GPUs have a line each, with the number that --device takes', async (t) => {
    const environment = environmentWithSmi(t, { stdout: rows(H100, T4) });
    const findings = await inspectGpus({ ...environment, CUDA_DEVICE_ORDER: 'PCI_BUS_ID', CUDA_VISIBLE_DEVICES: '1' });
    assert.deepEqual(
      findings.map(({ name, detail }) => [name, /, (cuda:\d|hidden by CUDA_VISIBLE_DEVICES)$/.exec(detail)?.[1]]),
      [
        ['gpu 0', 'hidden by CUDA_VISIBLE_DEVICES'],
        ['gpu 1', 'cuda:0'],
      ],
    );
  });

  for (const [title, change, detail, advice] of [
    [
      'an old driver',
      { driver_version: '550.54.15' },
      /driver 550\.54\.15, CUDA 13 needs driver 580 or newer$/,
      /apt install nvidia-driver-580-server/,
    ],
    [
      'errors of its memory',
      { 'ecc.errors.uncorrected.volatile.total': '3' },
      /3 uncorrected memory errors$/,
      /--gpu-reset/,
    ],
  ] as const)
    test(`${title}: a problem, with the command that mends it`, async (t) => {
      const [finding] = await inspectGpus(environmentWithSmi(t, { stdout: rows({ ...H100, ...change }) }));
      assert.equal(finding?.status, 'problem');
      assert.match(finding.detail, detail);
      assert.match(finding.advice ?? '', advice);
    });

  test('a GPU that is too old is none, because nobody can mend it; nothing is a problem where the CPU is asked for', async (t) => {
    const old = environmentWithSmi(t, { stdout: rows({ ...H100, compute_cap: '6.1', name: 'Tesla P40' }) });
    const [finding] = await inspectGpus(old);
    assert.equal(finding?.status, 'missing');
    assert.match(finding.detail, /^Tesla P40, .*CUDA 13 needs compute capability 7\.5$/);
    const behind = environmentWithSmi(t, { stdout: rows({ ...H100, driver_version: '550.54.15' }) });
    assert.equal((await inspectGpus(behind, false))[0]?.status, 'missing');
  });

  test('instances, persistence mode and memory that nobody may see are said, and are no problem', async (t) => {
    const gpu = {
      ...H100,
      'mig.mode.current': 'Enabled',
      persistence_mode: 'Disabled',
      'memory.total': '[Insufficient Permissions]',
    };
    const [finding] = await inspectGpus(environmentWithSmi(t, { stdout: rows(gpu) }));
    assert.equal(finding?.status, 'ok');
    assert.match(
      finding.detail,
      /its memory is not known.*cut into instances \(MIG\), persistence mode off \("sudo nvidia-smi -pm 1" makes starts faster\)$/,
    );
  });

  test('a driver that was upgraded, and one that does not run, are problems with what to do', async (t) => {
    for (const [stdout, detail, advice] of [
      ['Failed to initialize NVML: Driver/library version mismatch', /driver was upgraded/, /Restart the machine/],
      [
        "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.",
        /driver does not run/,
        /modprobe nvidia/,
      ],
      [
        'Unable to determine the device handle for GPU0000:02:00.0: GPU is lost.  Reboot the system to recover this GPU',
        /lost to the driver/,
        /Restart/,
      ],
      ['something else', /^nvidia-smi failed: something else$/, /nvidia-smi must work/],
    ] as const) {
      const [finding] = await inspectGpus(environmentWithSmi(t, { stdout, exitCode: 9 }));
      assert.equal(finding?.status, 'problem');
      assert.match(finding.detail, detail);
      assert.match(finding.advice ?? '', advice);
    }
  });

  test('no GPU is none, and no problem', async (t) => {
    for (const answer of [undefined, { stdout: 'No devices were found\n', exitCode: 6 }]) {
      const [finding] = await inspectGpus(environmentWithSmi(t, answer));
      assert.equal(finding?.status, 'missing');
      assert.match(finding.advice ?? '', /generated on the CPU/);
    }
  });
});
