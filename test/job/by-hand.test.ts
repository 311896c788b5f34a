/** Steps, timesteps, sigmas, eta and schedules in a request: the values that are allowed, alone and together, and the default that gives way. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DEFAULT_LIMITS } from '../../src/job/limits.ts';
import { parsePromptDocument, usedParameters, withDefaultFields } from '../../src/job/prompt-document.ts';
import { resolveRequest } from '../../src/job/resolve-request.ts';
import type { GenerationDefaults, ResolvedGenerationRequest } from '../../src/job/generation-request.ts';
import { MODEL_FACTS } from './a-request.ts';

type Document = Readonly<Record<string, unknown>>;

const EULER = { scheduler: 'euler' };

function resolved(document: Document, defaults: GenerationDefaults = {}): ResolvedGenerationRequest {
  const { request } = parsePromptDocument({ text: 'a fox', ...document }, DEFAULT_LIMITS);
  return resolveRequest(request, { defaults, model: MODEL_FACTS, limits: DEFAULT_LIMITS, seed: 1 });
}

for (const [document, says] of [
  [{ ...EULER, timesteps: [999, 500], sigmas: [9, 1] }, '"timesteps" and "sigmas" are given together'],
  [{ ...EULER, timesteps: [999], num_inference_steps: 1 }, '"num_inference_steps" and "timesteps"'],
  [{ ...EULER, sigmas: [9], num_inference_steps: 20 }, '"num_inference_steps" and "sigmas"'],
  [{ ...EULER, timesteps: [999], schedule_type: 'karras' }, '"schedule_type" and "timesteps"'],
  [{ ...EULER, timesteps: [] }, '"timesteps" is []'],
  [{ ...EULER, timesteps: [1, 2] }, '"timesteps" has 2 behind 1, as number 2'],
  [{ ...EULER, timesteps: [5, 5] }, 'has 5 behind 5'],
  [{ ...EULER, timesteps: [5.5] }, 'has 5.5 as number 1'],
  [{ ...EULER, timesteps: [-1] }, 'has -1 as number 1'],
  [{ ...EULER, timesteps: ['9'] }, 'has "9" as number 1'],
  [{ ...EULER, timesteps: 'all' }, '"timesteps" is "all"'],
  [{ ...EULER, timesteps: Array.from({ length: 1001 }, (_, index) => 2000 - index) }, 'has 1001 numbers'],
  [
    { ...EULER, sigmas: [14, 1, 0] },
    'has 0 as number 3; allowed are numbers from 0.0001 to 100000 without the final 0',
  ],
  [{ ...EULER, sigmas: [Number.NaN] }, 'as number 1'],
  [{ ...EULER, sigmas: [Number.POSITIVE_INFINITY, 1] }, 'as number 1'],
  [{ eta: 1.1 }, '"eta" is 1.1'],
  [{ eta: -0.1 }, '"eta" is -0.1'],
  [{ schedule_type: 'polyexponential' }, '"schedule_type" is "polyexponential"'],
  [{ scheduler: 'dpmpp_2m_karras', schedule_type: 'beta' }, 'says "karras"; leave one of them out'],
] as const) {
  test(`a document with ${JSON.stringify(document).slice(0, 90)} is refused by name and value`, () => {
    assert.throws(
      () => parsePromptDocument({ text: 'a fox', ...document }, DEFAULT_LIMITS),
      (error: Error & { code?: string }) => error.code === 'invalid_parameter' && error.message.includes(says),
      says,
    );
  });
}

for (const [document, says] of [
  [{ scheduler: 'euler_a', timesteps: [9, 1] }, /"timesteps".*EulerAncestralDiscreteScheduler.*EulerDiscreteScheduler/],
  [{ scheduler: 'dpmpp_2m', sigmas: [9, 1] }, /"sigmas".*DPMSolverMultistepScheduler.*EulerDiscreteScheduler/],
  [{ scheduler: 'euler', eta: 0.5 }, /"eta".*EulerDiscreteScheduler.*DDIMScheduler/],
  [{ scheduler: 'ddim', schedule_type: 'karras' }, /"karras".*DDIMScheduler.*sgm_uniform/],
] as const) {
  test(`${JSON.stringify(document)} is refused: the scheduler does not take it`, () => {
    assert.throws(() => resolved(document), { code: 'invalid_parameter', message: says });
  });
}

test('a list by hand decides the number of steps, and the operator’s default gives way', () => {
  const request = resolved({ ...EULER, timesteps: [900, 500, 100] }, { numInferenceSteps: 30 });
  assert.deepEqual([request.numInferenceSteps, request.timesteps], [3, [900, 500, 100]]);
  const used = usedParameters(request, MODEL_FACTS);
  assert.deepEqual([used['timesteps'], 'num_inference_steps' in used], [[900, 500, 100], false]);
  assert.deepEqual(resolved({ text: 'a', ...used }).timesteps, [900, 500, 100], 'they make a document again');
});

test('an operator’s list gives way to a document’s number of steps, and to a scheduler that takes no list', () => {
  const defaults = { timesteps: [900, 500, 100], scheduler: 'euler' };
  assert.deepEqual(resolved({ num_inference_steps: 7 }, defaults).timesteps, null);
  assert.equal(resolved({}, defaults).numInferenceSteps, 3);
  const other = resolved({ scheduler: 'pndm' }, defaults);
  assert.deepEqual([other.timesteps, other.numInferenceSteps], [null, 50]);
  assert.deepEqual(resolved({ sigmas: [9, 1] }, defaults).timesteps, null);
});

test('an operator’s eta and schedule give way to a scheduler that has none, and to a schedule in its name', () => {
  const defaults = { eta: 0.5, scheduleType: 'karras' };
  const [ddim, euler, named] = [
    resolved({ scheduler: 'ddim' }, defaults),
    resolved(EULER, defaults),
    resolved({ scheduler: 'Euler Exponential' }, defaults),
  ];
  assert.deepEqual([ddim.eta, ddim.scheduleType], [0.5, null]);
  assert.deepEqual([euler.eta, euler.scheduleType], [null, 'karras']);
  assert.deepEqual([named.scheduler, named.scheduleType], ['euler_exponential', null]);
  assert.equal(resolved({ ...EULER, schedule_type: 'Automatic' }, defaults).scheduleType, 'automatic');
});

test('the flags of enqueue give way to the lines of its file', () => {
  const flags = { text: 'f', timesteps: [9, 1], scheduler: 'euler' };
  assert.deepEqual(withDefaultFields({ text: 'a', num_inference_steps: 4 }, flags), {
    text: 'a',
    num_inference_steps: 4,
    scheduler: 'euler',
  });
  assert.deepEqual(withDefaultFields({ text: 'a' }, flags), { ...flags, text: 'a' });
});
