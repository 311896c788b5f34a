/** What nvidia-smi says is read where it is good, and stood where it is missing, foreign or nonsense. The program is a stand-in in PATH. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { driverCudaVersion, listGpus, parseGpus } from '../../../src/runtime/nvidia/smi.ts';
import { gpuMemory } from '../../../src/runtime/nvidia/gpu-memory.ts';
import { gpuOf, isInContainer, visibleGpus } from '../../../src/runtime/nvidia/visible-gpus.ts';
import { environmentWithSmi, H100, NO_SCRIPTS, rows, T4 } from './foreign-smi.ts';

const MIB = 2 ** 20;

suite('nvidia-smi', { skip: NO_SCRIPTS }, () => {
  test('every GPU is read with its facts', async (t) => {
    const list = await listGpus(environmentWithSmi(t, { stdout: rows(H100, T4) }));
    assert.ok(list.state === 'listed');
    assert.deepEqual(list.gpus[0], {
      index: 0,
      uuid: H100.uuid,
      name: 'NVIDIA H100 80GB HBM3',
      memoryBytes: 81559 * MIB,
      freeBytes: 80000 * MIB,
      computeCapability: 9,
      driver: '580.95.05',
      isMig: false,
      isPersistent: true,
      uncorrectedErrors: 0,
    });
    assert.equal(list.gpus[1]?.name, 'Tesla T4');
  });

  test('a driver that does not know a field is asked for fewer', async (t) => {
    const list = await listGpus(environmentWithSmi(t, { stdout: rows(H100), unknownField: 'compute_cap' }));
    assert.ok(list.state === 'listed');
    assert.equal(list.gpus[0]?.memoryBytes, 81559 * MIB);
    assert.equal(list.gpus[0]?.computeCapability, undefined);
  });

  test('a machine without the program has none', async (t) => {
    assert.deepEqual(await listGpus(environmentWithSmi(t, undefined)), { state: 'absent' });
  });

  for (const [title, answer, says] of [
    [
      'its error',
      {
        stdout: 'Failed to initialize NVML: Driver/library version mismatch\nNVML library version: 570.86\n',
        exitCode: 18,
      },
      /version mismatch NVML library version: 570\.86$/,
    ],
    ['no GPU', { stdout: 'No devices were found\n' }, /No devices were found/],
    ['nothing', {}, /No devices were found/],
    ['nonsense', { stdout: `\u001b[31m${'x,'.repeat(100_000)}\n\n,,,,\n` }, /x,x/],
  ] as const)
    test(`what it says instead of GPUs is kept: ${title}`, async (t) => {
      const list = await listGpus(environmentWithSmi(t, answer));
      assert.ok(list.state === 'failed');
      assert.match(list.text, says);
    });

  test('the CUDA version of the driver is read from its table', async (t) => {
    for (const [table, version] of [
      ['| NVIDIA-SMI 580.95.05    Driver Version: 580.95.05    CUDA Version: 13.0     |', '13.0'],
      ['| NVIDIA-SMI 600.1   KMD Version: 600.1   CUDA UMD Version: 13.4  |', '13.4'],
      ['nothing', undefined],
    ] as const)
      assert.equal(await driverCudaVersion(environmentWithSmi(t, { table })), version);
  });

  test('the free memory is that of the GPU that CUDA counts as N', (t) => {
    const environment = environmentWithSmi(t, { stdout: rows(H100, T4) });
    const inOrder = { ...environment, CUDA_DEVICE_ORDER: 'PCI_BUS_ID' };
    assert.deepEqual(gpuMemory('cuda:1', inOrder), { freeBytes: 15000 * MIB, totalBytes: 15360 * MIB });
    assert.equal(gpuMemory('cuda:2', inOrder), undefined);
    assert.equal(gpuMemory('cpu', inOrder), undefined);
    assert.equal(
      gpuMemory('cuda:1', { ...environment, CUDA_DEVICE_ORDER: undefined }),
      undefined,
      'two kinds, ordered by speed',
    );
    assert.deepEqual(gpuMemory('cuda:0', { ...inOrder, CUDA_VISIBLE_DEVICES: '1' })?.totalBytes, 15360 * MIB);
  });

  test('of a GPU with instances, or without the right to ask, nobody knows what is free', (t) => {
    for (const change of [{ 'mig.mode.current': 'Enabled' }, { 'memory.free': '[Insufficient Permissions]' }] as const)
      assert.equal(gpuMemory('cuda:0', environmentWithSmi(t, { stdout: rows({ ...H100, ...change }) })), undefined);
  });
});

test('cells that are no numbers are left out, and lines that are no GPU', () => {
  const line = (cells: readonly string[]): string => cells.join(', ');
  const good = ['0', 'GPU-1', '81559', '80000', '580.1', '9.0', 'Disabled', 'Enabled', '0', 'A, B'];
  assert.equal(parseGpus(line(good))[0]?.name, 'A, B');
  const [poor] = parseGpus(line(['0', 'GPU-1', '[N/A]', '1e9', 'x', '9', '[N/A]', '[N/A]', '-1', '\u001b[2J']));
  assert.deepEqual(poor, { index: 0, uuid: 'GPU-1', name: '\\u001b[2J' });
  for (const bad of [
    '',
    ',',
    line(['x', 'GPU-1', '', '', '', '', '', '', '', 'A']),
    line(['0', 'a b', '', '', '', '', '', '', '', 'A']),
    line(good.slice(0, 4)),
  ])
    assert.deepEqual(parseGpus(bad), []);
  assert.ok(parseGpus(`${line(good)}\n`.repeat(10_000)).length <= 64);
});

test('CUDA_VISIBLE_DEVICES decides which GPU has which number', () => {
  const [a, b, c] = ['GPU-aa11', 'GPU-bb22', 'GPU-cc33'].map((uuid, index) => ({ index, uuid, name: 'same' })) as [
    never,
    never,
    never,
  ];
  const gpus = [a, b, c];
  for (const [wanted, shown] of [
    [undefined, [a, b, c]],
    ['', []],
    ['-1', []],
    ['2,0', [c, a]],
    ['1,9,0', [b]],
    ['1,1', [b]],
    ['GPU-cc, GPU-aa11', [c, a]],
    ['GPU-zz', []],
    ['__proto__', []],
    ['MIG-1234', undefined],
  ] as const)
    assert.deepEqual(visibleGpus(gpus, { CUDA_VISIBLE_DEVICES: wanted }), shown, String(wanted));
  assert.equal(gpuOf('cuda:1', gpus, { CUDA_VISIBLE_DEVICES: '2,0' }), a);
  assert.equal(
    visibleGpus([a, { index: 1, uuid: 'GPU-dd', name: 'other' }], {}),
    undefined,
    'CUDA orders two kinds by speed',
  );
});

test('a container is known by what its engine leaves in it', () => {
  assert.equal(isInContainer({}, '/nowhere'), false);
  assert.equal(isInContainer({ KUBERNETES_SERVICE_HOST: '10.0.0.1' }, '/nowhere'), true);
});
