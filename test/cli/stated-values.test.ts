/** Options that take each other's place: a variable gives way to a flag, and two flags exclude each other. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { statedValues } from '../../src/cli/request-settings.ts';
import { settle } from '../../src/config/load.ts';
import { REQUEST_FIELDS } from '../../src/job/request-fields.ts';

async function valuesOf(flags: object, environment: Readonly<Record<string, string>> = {}): Promise<object> {
  const { config } = await settle({ command: 'generate', flags, environment, secrets: new Map() });
  return statedValues(REQUEST_FIELDS, config);
}

test('a variable with the number of steps gives way to a flag with the timesteps', async () => {
  const environment = { NUM_INFERENCE_STEPS: '30', TEXT2IMG_ETA: '0.5' };
  assert.deepEqual(await valuesOf({ timesteps: '999, 500,1' }, environment), { timesteps: [999, 500, 1], eta: 0.5 });
  assert.deepEqual(await valuesOf({ numInferenceSteps: '4' }, { TEXT2IMG_SIGMAS: '9,1' }), { numInferenceSteps: 4 });
});

test('two flags, or two variables, that exclude each other are refused', async () => {
  const refusal = { code: 'invalid_parameter', message: /"timesteps" and "sigmas" are given together/ };
  await assert.rejects(valuesOf({ timesteps: '9,1', sigmas: '9,1' }), refusal);
  await assert.rejects(valuesOf({}, { TEXT2IMG_TIMESTEPS: '9,1', TEXT2IMG_SIGMAS: '9,1' }), refusal);
});

for (const [flags, quoted] of [
  [{ timesteps: '1,2' }, '--timesteps "1,2"'],
  [{ timesteps: '9,,1' }, '"9,,1"'],
  [{ sigmas: '14.6, 0' }, '--sigmas "14.6, 0"'],
  [{ sigmas: 'NaN' }, '"NaN"'],
  [{ scheduleType: 'align your steps' }, '--schedule-type'],
  [{ eta: '2' }, '--eta "2"'],
] as const) {
  test(`${JSON.stringify(flags)} is refused with the flag, the value and what is allowed`, async () => {
    await assert.rejects(
      valuesOf(flags),
      (error: Error & { code?: string }) => error.code === 'invalid_parameter' && error.message.includes(quoted),
    );
  });
}
