/** Names of schedulers as users of diffusers, web UIs and ComfyUI write them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { settle } from '../../src/config/load.ts';
import { AutomaticSchedules } from '../../src/job/automatic-schedules.ts';
import { createScheduler } from '../../src/schedulers/create-scheduler.ts';
import { schedulerName } from '../../src/job/scheduler-field-types.ts';
import { SCHEDULERS } from '../../src/schedulers/registry.ts';
import { SCHEDULE_TYPES } from '../../src/schedulers/schedule-types.ts';
import {
  isSchedulerName,
  parseSchedulerName,
  resolveSchedulerName,
  samplerOfScheduler,
  schedulerOfSampler,
  SHORT_SCHEDULER_NAMES,
} from '../../src/schedulers/scheduler-names.ts';
import { aRequest } from '../job/a-request.ts';

for (const [written, resolved] of [
  ['EulerDiscreteScheduler', 'EulerDiscreteScheduler'],
  ['euler discrete scheduler', 'EulerDiscreteScheduler'],
  ['EULER', 'EulerDiscreteScheduler'],
  ['Euler a', 'EulerAncestralDiscreteScheduler'],
  ['euler_ancestral', 'EulerAncestralDiscreteScheduler'],
  ['Euler Karras', 'euler_karras'],
  ['euler-sgm-uniform', 'euler_sgm_uniform'],
  ['DPM++ 2M Karras', 'dpmpp_2m_karras'],
  ['dpmpp_2m_karras', 'dpmpp_2m_karras'],
  ['DPM++2M', 'dpmpp_2m'],
  ['DPM++ 2M Automatic', 'dpmpp_2m'],
  ['dpmpp 2m exponential', 'dpmpp_2m_exponential'],
  ['DPM++ 2M SDE', 'dpmpp_2m_sde'],
  ['DPM++ 2M SDE Karras', 'dpmpp_2m_sde_karras'],
  ['dpmpp_3m_sde', 'dpmpp_3m_sde'],
  // ComfyUI's names for noise that the GPU makes.
  ['dpmpp_2m_sde_gpu', 'dpmpp_2m_sde'],
  ['dpmpp_3m_sde_gpu', 'dpmpp_3m_sde'],
  ['dpmpp_sde_gpu_karras', 'dpmpp_sde_karras'],
  ['DPM++ 3M SDE Exponential', 'dpmpp_3m_sde_exponential'],
  ['PLMS', 'PNDMScheduler'],
  ['DPMSolverMultistepScheduler beta', 'DPMSolverMultistepScheduler_beta'],
  ['DPM++ SDE', 'DPMSolverSDEScheduler'],
  ['DPM++ SDE Karras', 'dpmpp_sde_karras'],
  ['DPM2', 'KDPM2DiscreteScheduler'],
  ['DPM2 a Karras', 'dpm2_a_karras'],
  ['dpm_2_ancestral', 'KDPM2AncestralDiscreteScheduler'],
  ['LMS Karras', 'lms_karras'],
  ['UniPC', 'UniPCMultistepScheduler'],
  ['uni_pc', 'UniPCMultistepScheduler'],
  ['uni_pc_bh2', 'unipc_bh2'],
  ['LCM', 'LCMScheduler'],
  ['TCD', 'TCDScheduler'],
  ['DEIS', 'DEISMultistepScheduler'],
  ['ddpm', 'DDPMScheduler'],
  ['sa_solver', 'SASolverScheduler'],
] as const) {
  test(`"${written}" is ${resolved}, and so is that name itself`, () => {
    assert.equal(resolveSchedulerName(written), resolved);
    assert.equal(resolveSchedulerName(resolved), resolved);
  });
}

for (const [name, reason] of [
  ['DPM++ 2S a', 'not the same algorithm'],
  ['DPM++ 2S a Karras', 'not the same algorithm'],
  ['dpmpp_2s_ancestral', 'not the same algorithm'],
  ['DPM fast', 'diffusers has no such method'],
  ['dpm_adaptive', 'diffusers has no such method'],
  ['Restart', 'diffusers has no such method'],
  ['IPNDMScheduler', 'audio model'],
  ['ipndm', 'audio model'],
  ['FlowMatchEulerDiscreteScheduler', 'flow-matching'],
  ['karras', 'give it as "schedule_type"'],
  ['PLMS Karras', 'PNDMScheduler cannot do the schedule karras'],
  ['Euler a Exponential', 'EulerAncestralDiscreteScheduler cannot do the schedule exponential'],
] as const) {
  test(`"${name}" is refused with the reason`, () => {
    assert.equal(isSchedulerName(name), false);
    assert.throws(
      () => parseSchedulerName(name),
      (error: Error & { code?: string }) =>
        error.code === 'unknown_scheduler' && error.message.includes(`"${name}"`) && error.message.includes(reason),
    );
  });
}

test('a flag says the reason too', async () => {
  for (const [scheduler, reason] of [
    ['DPM++ 2S a', /^--scheduler "DPM\+\+ 2S a" is not allowed: not implemented, because .*same algorithm[.;]/],
    ['PLMS Karras', /is not allowed: PNDMScheduler cannot do the schedule karras, only sgm_uniform, normal[.;]/],
  ] as const)
    await assert.rejects(settle({ command: 'generate', flags: { scheduler }, environment: {}, secrets: new Map() }), {
      code: 'unknown_scheduler',
      message: reason,
    });
});

test('the sentence of a name that nobody knows lists every short name and both other kinds of names, uncut, as a field and as a flag', async () => {
  const name = 'x'.repeat(80);
  const isWhole = (message: string): boolean =>
    [...SHORT_SCHEDULER_NAMES, 'class name of diffusers', 'web UI’s name'].every((part) => message.includes(part)) &&
    message.endsWith('.');
  assert.throws(
    () => parseSchedulerName(name),
    (error: Error) => isWhole(error.message),
  );
  assert.ok(isWhole(schedulerName.refuse('scheduler', name).message));
  await assert.rejects(
    settle({ command: 'generate', flags: { scheduler: name }, environment: {}, secrets: new Map() }),
    (error: Error) => isWhole(error.message),
  );
});

test('every name of every class leads to that class, with each schedule that it can do', () => {
  for (const scheduler of SCHEDULERS) {
    const { className, names, scheduleTypes = [] } = scheduler;
    for (const name of [className, ...names.map(({ name: short }) => short)]) {
      assert.equal(parseSchedulerName(name).scheduler, scheduler);
      const hasOwn = names.some((short) => short.name === name && short.scheduleType !== undefined);
      for (const type of hasOwn ? [] : SCHEDULE_TYPES) {
        const joined = `${name} ${type}`;
        assert.equal(isSchedulerName(joined), scheduleTypes.includes(type), joined);
        if (scheduleTypes.includes(type)) assert.equal(parseSchedulerName(joined).scheduler, scheduler);
      }
    }
  }
});

test('a PNG has the web UI’s name, which is read back as the same scheduler', () => {
  for (const [name, sampler] of [
    ['euler_karras', 'Euler Karras'],
    ['dpmpp_2m_sde_exponential', 'DPM++ 2M SDE Exponential'],
    ['EulerAncestralDiscreteScheduler', 'Euler a'],
    ['dpmpp_2m_sgm_uniform', 'DPM++ 2M SGM Uniform'],
  ] as const) {
    assert.equal(samplerOfScheduler(name), sampler);
    assert.equal(resolveSchedulerName(schedulerOfSampler(sampler, undefined)), resolveSchedulerName(name));
  }
});

test('a schedule in the name does the same as the schedule in its own field', () => {
  const checkpoint = { configFor: () => ({ beta_schedule: 'scaled_linear', timestep_spacing: 'leading' }) };
  const sigmas = (name: string, scheduleType: string | null): number[] =>
    createScheduler(name, checkpoint, { steps: 5, scheduleType }).passes.map(({ sigma }) => sigma);
  assert.deepEqual(sigmas('Euler Karras', null), sigmas('euler', 'karras'));
  assert.deepEqual(sigmas('DPM++ 2M Karras', null), sigmas('dpmpp_2m', 'karras'));
  assert.notDeepEqual(sigmas('euler', null), sigmas('euler', 'karras'));
  assert.deepEqual(sigmas('euler', 'automatic'), sigmas('euler', null));
});

test('the log says once which schedule a web UI would have taken, and nothing where one is asked for', () => {
  const lines: unknown[] = [];
  const note = (message: string, fields?: object): void => void lines.push([message, fields]);
  const logger = { info: note };
  const schedules = new AutomaticSchedules();
  for (const [scheduler, scheduleType] of [
    ['dpmpp_2m', 'karras'],
    ['dpmpp_2m', null],
    ['dpmpp_2m', 'automatic'],
    ['dpmpp_2m_karras', null],
    ['dpmpp_2m_sde_beta', null],
    ['dpmpp_2m_sde', null],
    ['EulerDiscreteScheduler', null],
    ['DPMSolverMultistepScheduler', null],
    // As requests carry them.
    [resolveSchedulerName('DPM++ SDE'), null],
    [resolveSchedulerName('DPM2'), null],
    [resolveSchedulerName('DPM2 a'), null],
    [resolveSchedulerName('DPM2 Karras'), null],
  ] as const)
    schedules.tell(aRequest({ scheduler, scheduleType }), logger);
  const message = 'the scheduler takes the model’s own sigmas';
  assert.deepEqual(lines, [
    [message, { scheduler: 'dpmpp_2m', web_ui_schedule_type: 'karras' }],
    [message, { scheduler: 'dpmpp_2m_sde', web_ui_schedule_type: 'exponential' }],
    [message, { scheduler: 'DPMSolverSDEScheduler', web_ui_schedule_type: 'karras' }],
    [message, { scheduler: 'KDPM2DiscreteScheduler', web_ui_schedule_type: 'karras' }],
    [message, { scheduler: 'KDPM2AncestralDiscreteScheduler', web_ui_schedule_type: 'karras' }],
  ]);
});
