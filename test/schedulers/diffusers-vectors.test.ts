/**
 * Whole loops of every scheduler, compared with diffusers 0.42.1: each configuration option, timesteps and sigmas by hand, eta, and loops that begin
 * at an image. `vectors/` has a file for each class; `reference/fill_scheduler_vectors.py` fills it, with the pseudo network that is here.
 */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { suite, test } from 'node:test';
import { z } from 'zod';
import { Text2ImgError } from '../../src/errors/text2img-error.ts';
import { imageNoise } from '../../src/noise/image-noise.ts';
import { createScheduler } from '../../src/schedulers/create-scheduler.ts';
import { SCHEDULERS } from '../../src/schedulers/registry.ts';
import { SCHEDULE_TYPES, type ScheduleType } from '../../src/schedulers/schedule-types.ts';
import { readSchedulerConfig } from '../../src/schedulers/scheduler-config.ts';
import { missingCase, noVectors } from './no-vectors.ts';
import { pseudoLoop } from './pseudo-network.ts';

interface Vector {
  readonly scheduler: string;
  readonly config: Readonly<Record<string, unknown>>;
  readonly steps: number;
  readonly timesteps?: readonly number[];
  readonly sigmas?: readonly number[];
  readonly eta?: number;
  readonly strength?: number;
  readonly first: number;
  /** The timesteps of all passes. */
  readonly passes: readonly number[];
  readonly initNoiseSigma: number;
  readonly noised?: readonly number[];
  /** The image that the first pass predicts. */
  readonly predicted?: readonly number[];
  readonly result: readonly number[];
}

/**
 * diffusers' high orders of DEIS and SA-Solver take differences of large numbers in float32; ours are in double. torchsde rounds the ends of a Brownian path to 6
 * digits, and torch's logarithms differ in the 7th from one machine to another: the path's piece is then another one.
 */
const TOLERANCES: Readonly<Record<string, number>> = {
  DEISMultistepScheduler: 3e-5,
  SASolverScheduler: 3e-5,
  DPMSolverSDEScheduler: 1e-3,
};

function assertNear(actual: Float32Array | undefined, expected: readonly number[], what: string): void {
  const tolerance = TOLERANCES[what.split(' ')[0] ?? ''] ?? 1e-5;
  assert.equal(actual?.length, expected.length, what);
  const scale = Math.max(1, ...expected.map(Math.abs));
  for (const [index, value] of (actual ?? []).entries())
    assert.ok(
      Math.abs(value - (expected[index] as number)) <= tolerance * scale,
      `${what}: element ${index} is ${value}, not ${expected[index]}`,
    );
}

function compare(vector: Vector): void {
  const { scheduler: name, config, steps, timesteps, sigmas, eta, strength, result } = vector;
  const inputs = { steps, timesteps, sigmas, eta, strength };
  const what = `${name} ${JSON.stringify(inputs)} ${JSON.stringify(config)}`;
  assert.deepEqual(readSchedulerConfig(name, config, 'vectors').warnings, [], `${what}: all keys are read`);
  const options = JSON.parse(JSON.stringify({ steps, timesteps, sigmas, eta }));
  const scheduler = createScheduler(name, { configFor: () => config }, options);
  const { passes, initNoiseSigma } = scheduler;
  assert.equal(passes.length, vector.passes.length, what);
  for (const [index, { timestep }] of passes.entries())
    assert.ok(
      // Fractional ones are float32 in diffusers and take part in the time embedding.
      Math.abs(timestep - (vector.passes[index] as number)) <= 1e-3,
      `${what}: timestep ${index} is ${timestep}, not ${vector.passes[index]}`,
    );
  assert.ok(Math.abs(initNoiseSigma / vector.initNoiseSigma - 1) < 1e-6, `${what}: ${initNoiseSigma}`);
  const firstPass = strength === undefined ? 0 : scheduler.firstPass(strength);
  assert.equal(firstPass, vector.first, what);
  const noise = imageNoise(7, scheduler.noiseInterval);
  let start: Float32Array = Float32Array.from(
    result,
    (_, index) => Math.fround(Math.sin(1.3 * index)) * initNoiseSigma,
  );
  if (vector.noised !== undefined) {
    const original = Float32Array.from(result, (_, index) => Math.cos(0.7 * index));
    start = scheduler.addNoise({ original, noise: noise.next(original.length), pass: firstPass });
    assertNear(start, vector.noised, `${what}: noised`);
  }
  const { sample, predicted } = pseudoLoop({ scheduler, start, firstPass, noise });
  if (vector.predicted !== undefined)
    assertNear(predicted[0], vector.predicted, `${what}: predicted in the first pass`);
  assertNear(sample, result, `${what}: result`);
}

/** Loops of other files, which `schedulers.test.ts` and `image-start.test.ts` compare. */
const elsewhere = await Promise.all(
  ['vectors.json', 'image-start-vectors.json'].map(
    async (name) => JSON.parse(await readFile(new URL(name, import.meta.url), 'utf8')) as Vector[],
  ),
);

async function vectorsOf(className: string): Promise<readonly Vector[]> {
  const file = new URL(`vectors/${className}.json`, import.meta.url);
  assert.ok(existsSync(file), noVectors(className));
  return JSON.parse(await readFile(file, 'utf8')) as Vector[];
}

suite('schedulers give what diffusers gives, with every option', () => {
  for (const { className, rules, takes = [] } of SCHEDULERS) {
    test(`${className}: all loops end within ${TOLERANCES[className] ?? 1e-5} of diffusers, at the same timesteps`, async () => {
      const vectors = await vectorsOf(className);
      assert.ok(vectors.length > 0, noVectors(className));
      const cases = [...vectors, ...elsewhere.flat().filter(({ scheduler }) => scheduler === className)];
      const problem = missingCase(
        { className, keys: rules(z).implementedKeys, takes },
        cases.map((own) => ({ ...own })),
      );
      assert.equal(problem, undefined, problem);
      for (const vector of vectors) {
        assert.equal(vector.scheduler, className);
        compare(vector);
      }
    });
  }
});

test('a class offers the schedules that its keys can do, and no other', () => {
  for (const { className, rules, scheduleTypes = [], takes = [] } of SCHEDULERS) {
    const keys = rules(z).implementedKeys;
    const can = {
      karras: keys.includes('use_karras_sigmas') || keys.includes('sigma_schedule'),
      exponential: keys.includes('use_exponential_sigmas') || keys.includes('sigma_schedule'),
      beta: keys.includes('use_beta_sigmas'),
      sgm_uniform: keys.includes('timestep_spacing'),
      normal: keys.includes('timestep_spacing'),
      simple: takes.includes('timesteps'),
    };
    const expected = SCHEDULE_TYPES.filter((type) => can[type]);
    assert.deepEqual(scheduleTypes, expected, className);
  }
});

const own = { configFor: () => ({ use_karras_sigmas: true }) };

function refusalOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    assert.ok(error instanceof Text2ImgError, String(error));
    assert.equal(error.code, 'invalid_parameter');
    return error.message;
  }
  assert.fail('nothing was refused');
}

test('an argument or a schedule that a class does not have in diffusers is refused by its name, with the classes that have it', () => {
  const options = { timesteps: [900, 100], sigmas: [9, 1], eta: 0.5 };
  for (const { className, takes = [], scheduleTypes = [] } of SCHEDULERS) {
    for (const argument of ['timesteps', 'sigmas', 'eta'] as const) {
      if (takes.includes(argument)) continue;
      const message = refusalOf(() => createScheduler(className, own, { steps: 2, [argument]: options[argument] }));
      assert.match(message, new RegExp(`"${argument}".*${className}.*those that do: \\w+`));
    }
    for (const scheduleType of SCHEDULE_TYPES) {
      if (scheduleTypes.includes(scheduleType)) continue;
      const message = refusalOf(() => createScheduler(className, own, { steps: 2, scheduleType }));
      assert.ok(message.includes(`"${scheduleType}"`) && message.includes(className), message);
    }
  }
  assert.ok(createScheduler('euler_a', own, { steps: 2, eta: 0 }).passes.length > 0, 'eta 0 is no argument');
});

test('timesteps by hand are refused beyond the trained ones and beside sigmas that the scheduler spaces itself', () => {
  const plain = { configFor: () => ({ num_train_timesteps: 500 }) };
  assert.match(
    refusalOf(() => createScheduler('euler', plain, { steps: 1, timesteps: [500] })),
    /500.*0 to 499/,
  );
  assert.match(
    refusalOf(() => createScheduler('euler', own, { steps: 1, timesteps: [5] })),
    /use_karras_sigmas/,
  );
  assert.match(
    refusalOf(() => createScheduler('dpmpp_2m_karras', plain, { steps: 1, timesteps: [5] })),
    /use_karras/,
  );
});

test('a schedule that a request asks for takes the place of the checkpoint’s own', () => {
  const timesteps = (scheduleType: ScheduleType): number[] =>
    createScheduler('euler', own, { steps: 4, scheduleType }).passes.map(({ timestep }) => Math.round(timestep));
  assert.deepEqual(timesteps('sgm_uniform'), [999, 749, 499, 249]);
  assert.deepEqual(timesteps('normal'), [999, 666, 333, 0]);
  assert.deepEqual(timesteps('simple'), [999, 749, 499, 249]);
  const three = createScheduler('euler', own, { steps: 3, scheduleType: 'simple' });
  // ComfyUI's comfy/samplers.py, simple_scheduler: the sigmas at -(1 + int(x * 1000 / 3)).
  assert.deepEqual(
    three.passes.map(({ timestep }) => timestep),
    [999, 666, 333],
  );
});
