/**
 * Every scheduler over a whole loop, compared with diffusers 0.42.1. `vectors.json` is the output of
 * `reference/make_scheduler_vectors.py`; the pseudo network here is the one there.
 */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { suite, test } from 'node:test';
import { TorchCpuGenerator } from '../../src/noise/torch-cpu-random.ts';
import { SCHEDULERS } from '../../src/schedulers/registry.ts';
import type { SchedulerClass } from '../../src/schedulers/scheduler.ts';
import { pseudoLoop } from './pseudo-network.ts';
import { schedulerConformance } from './scheduler-conformance.ts';

interface Vector {
  readonly scheduler: string;
  readonly steps: number;
  readonly config: Readonly<Record<string, unknown>>;
  readonly timesteps: readonly number[];
  readonly initNoiseSigma: number;
  readonly result: readonly number[];
}

const vectors = JSON.parse(await readFile(new URL('vectors.json', import.meta.url), 'utf8')) as Vector[];

suite('schedulers give what diffusers gives', () => {
  for (const { className: name, create } of SCHEDULERS) {
    const own = vectors.filter((vector) => vector.scheduler === name);
    // Classes that came later have theirs in vectors/.
    if (own.length === 0) continue;
    test(`${name}: ${own.length} loops end within 1e-5 of diffusers, at the same timesteps`, () => {
      for (const vector of own) {
        const { config, steps, result } = vector;
        const what = `${name} ${steps} steps ${JSON.stringify(config)}`;
        const scheduler = create(config, { steps });
        const { passes, initNoiseSigma: sigma } = scheduler;
        const start = Float32Array.from(result, (_, index) => Math.fround(Math.sin(1.3 * index)) * sigma);
        const { sample } = pseudoLoop({ scheduler, start, firstPass: 0, noise: new TorchCpuGenerator(7) });
        assert.deepEqual([passes.length], [vector.timesteps.length], what);
        for (const [index, { timestep }] of passes.entries()) {
          // Fractional ones are float32 in diffusers and take part in the time embedding.
          assert.ok(
            Math.abs(timestep - (vector.timesteps[index] as number)) <= 1e-3,
            `${what}: timestep ${index} is ${timestep}, not ${vector.timesteps[index]}`,
          );
        }
        assert.ok(
          Math.abs(sigma / vector.initNoiseSigma - 1) < 1e-6,
          `${what}: sigma ${sigma}, not ${vector.initNoiseSigma}`,
        );
        const scale = Math.max(1, ...vector.result.map(Math.abs));
        for (const [index, value] of sample.entries()) {
          const expected = vector.result[index] as number;
          assert.ok(
            Math.abs(value - expected) <= 1e-5 * scale,
            `${what}: element ${index} is ${value}, not ${expected}`,
          );
        }
      }
    });
  }
});

// The classes of diffusers that keep an alpha of 2^-24 there, with what torch 2.15 gives for the root of its sigma's square.
const ZERO_TERMINAL_SNR = ['EulerDiscrete', 'EulerAncestralDiscrete', 'UniPCMultistep', 'DPMSolverMultistep'];
for (const name of ZERO_TERMINAL_SNR)
  test(`${name}: the first sigma with zero terminal SNR is diffusers’, to the last bit`, () => {
    const { create } = SCHEDULERS.find(({ className }) => className === `${name}Scheduler`) as SchedulerClass;
    const config = { rescale_betas_zero_snr: true, timestep_spacing: 'trailing', prediction_type: 'v_prediction' };
    assert.equal(create(config, { steps: 3 }).passes[0]?.sigma, 4096);
  });

for (const scheduler of SCHEDULERS) schedulerConformance(scheduler);
