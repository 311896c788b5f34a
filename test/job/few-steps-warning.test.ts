/** A model for few steps that gets many without being asked for them generates as told, with one warning. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { requestWarnings } from '../../src/job/request-warnings.ts';
import { aRequest, MODEL_FACTS } from './a-request.ts';

function warnings(
  modelName: string,
  stated: Parameters<typeof aRequest>[0],
  { asked = Object.keys(stated), defaults = {} }: { asked?: readonly string[]; defaults?: object } = {},
): readonly string[] {
  const model = { ...MODEL_FACTS, modelName, defaults: { ...MODEL_FACTS.defaults, ...defaults } };
  return requestWarnings(aRequest(stated), { model, asked: new Set(asked) });
}

for (const name of [
  'sdxl-turbo',
  'ByteDance/SDXL-Lightning',
  'dreamshaperXL_v21TurboDPMSDE',
  'Hyper-SD',
  'x-lcm',
  'DMD2',
  'pcm',
])
  test(`${name} with 50 steps and guidance 7.5: one warning that names steps, guidance and schedule`, () => {
    const [warning, ...more] = warnings(name, {});
    assert.equal(more.length, 0);
    for (const part of [name, '50 steps', 'guidance 7.5', 'num_inference_steps', 'guidance_scale', 'schedule_type'])
      assert.ok(warning?.includes(part), `${part}: ${warning}`);
  });

test('a warning follows where one of the two is unasked', () => {
  assert.equal(warnings('sdxl-turbo', { numInferenceSteps: 4 }).length, 1);
  assert.equal(warnings('sdxl-turbo', { guidanceScale: 0 }).length, 1);
});

test('no warning follows where both were asked for, by the document or the operator, whatever they are', () => {
  assert.deepEqual(warnings('sdxl-turbo', { numInferenceSteps: 4, guidanceScale: 0 }), []);
  assert.deepEqual(warnings('sdxl-turbo', { numInferenceSteps: 50, guidanceScale: 9 }), []);
  assert.deepEqual(warnings('sdxl-turbo', { timesteps: [999], guidanceScale: 1 }), []);
});

test('no warning follows for few steps and little guidance that are defaults, for another name, and for a family that has its own steps', () => {
  assert.deepEqual(warnings('sdxl-turbo', { numInferenceSteps: 4, guidanceScale: 1 }, { asked: [] }), []);
  assert.deepEqual(warnings('stable-diffusion-v1-5', {}), []);
  assert.deepEqual(warnings('LCM_Dreamshaper_v7', {}, { defaults: { numInferenceSteps: 4 } }), []);
});
