/** `--device` with several GPUs and `--engines`: what is taken, and what is refused with the allowed values before anything is opened. */
import assert from 'node:assert/strict';
import { availableParallelism } from 'node:os';
import { test } from 'node:test';
import { planEngines } from '../../src/app/engine-plans.ts';
import type { LoadSources } from '../../src/config/load.ts';
import { loadConfig } from '../../src/config/load.ts';

const CORES = availableParallelism();

async function load(sources: Partial<LoadSources>) {
  return (await loadConfig({ command: 'run', flags: {}, environment: { HOME: '/home/none' }, ...sources })).config;
}

for (const [text, devices] of [
  ['auto', ['auto']],
  ['cuda', ['cuda']],
  ['cuda:1', ['cuda:1']],
  ['cuda:0,cuda:1', ['cuda:0', 'cuda:1']],
  ['cuda:3, cuda', ['cuda:3', 'cuda:0']],
] as const)
  test(`--device ${text} is ${devices.join(' and ')}`, async () => {
    assert.deepEqual((await load({ flags: { device: text } })).device, devices);
  });

for (const [text, reason] of [
  ['cuda:0,cuda:0', 'it names cuda:0 twice'],
  ['cuda,cuda:1,cuda:00', 'it names cuda:0 twice'],
  ['cuda:0,', 'a device is missing beside a comma'],
  [',', 'a device is missing beside a comma'],
  ['cuda:0,,cuda:1', 'a device is missing beside a comma'],
  ['cuda:0,cpu', 'a list may name NVIDIA GPUs only'],
  ['auto,cuda:0', 'a list may name NVIDIA GPUs only'],
  ['webgpu,webgpu', 'a list may name NVIDIA GPUs only'],
  ['cuda:0;cuda:1', undefined],
] as const)
  test(`--device ${text} is refused with the values that are allowed`, async () => {
    await assert.rejects(load({ flags: { device: text } }), {
      code: 'invalid_option',
      message: `--device "${text}" is not allowed${reason === undefined ? '' : `: ${reason}`}; it must be auto, cpu, cuda, cuda:N or webgpu, or several different GPUs as cuda:0,cuda:1.`,
    });
  });

test('more engines than cores are refused with both numbers, under the name that the user gave', async () => {
  const [wanted, most] = [CORES + 1, `The largest number is ${CORES}.`];
  const said = (name: string): RegExp =>
    new RegExp(`^${name} ${wanted} is not allowed: this process may use ${CORES} cores?, .*${most}$`);
  await assert.rejects(load({ flags: { engines: String(wanted) } }), {
    code: 'invalid_option',
    message: said('--engines'),
  });
  await assert.rejects(load({ environment: { TEXT2IMG_ENGINES: String(wanted) } }), {
    message: said('TEXT2IMG_ENGINES'),
  });
  assert.equal((await load({ flags: { engines: String(CORES) } })).engines, CORES);
});

for (const device of ['cuda', 'cuda:1', 'webgpu', 'cuda:0,cuda:1'])
  test(`--engines with --device ${device} is refused, and the sentence says how GPUs are named`, async () => {
    await assert.rejects(load({ flags: { engines: '2', device } }), {
      code: 'conflicting_options',
      message: new RegExp(`cannot be used with --device ${device}; .*--device cuda:0,cuda:1`),
    });
  });

for (const value of ['0', '-1', '1.5', 'two', '1025'])
  test(`--engines ${value} is refused`, async () => {
    await assert.rejects(load({ flags: { engines: value } }), {
      code: 'invalid_option',
      message: `--engines "${value}" is not allowed; it must be a whole number from 1 to 1024.`,
    });
  });

test('one engine may use all that the machine has, and keeps to no cores', () => {
  assert.deepEqual(planEngines({ device: ['auto'], engines: 1, threads: 0 }), [{ device: 'auto', threads: 0 }]);
});

test('each GPU of the list has an engine', () => {
  assert.deepEqual(planEngines({ device: ['cuda:1', 'cuda:3'], engines: 1, threads: 2 }), [
    { device: 'cuda:1', threads: 2 },
    { device: 'cuda:3', threads: 2 },
  ]);
});

test('engines share the threads of the machine, or have as many as the user says', () => {
  const machine = { root: '/nowhere', available: 8 };
  const threads = (each: number): number[] =>
    planEngines({ device: ['cpu'], engines: 3, threads: each }, machine).map((plan) => plan.threads);
  assert.deepEqual(threads(0), [2, 2, 2]);
  assert.deepEqual(threads(4), [4, 4, 4]);
});
