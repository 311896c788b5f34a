/** Names of schedulers as users of diffusers, web UIs and ComfyUI write them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { settle } from '../../src/config/load.ts';
import { AutomaticSchedules } from '../../src/job/automatic-schedules.ts';
import { createScheduler } from '../../src/schedulers/create-scheduler.ts';
import { scheduleType, schedulerName } from '../../src/job/scheduler-field-types.ts';
import { SCHEDULERS } from '../../src/schedulers/registry.ts';
import { SCHEDULE_TYPES } from '../../src/schedulers/schedule-types.ts';
import {
  isSchedulerName,
  parseSchedulerName,
  reasonAgainstScheduler,
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
  ['DPM++ 2M SDE Heun', 'dpmpp_2m_sde_heun'],
  ['dpmpp_2m_sde_heun_gpu', 'dpmpp_2m_sde_heun'],
  ['DPM++ 2M SDE Heun Karras', 'dpmpp_2m_sde_heun_karras'],
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
  ['heunpp2', 'diffusers has no such method'],
  ['HeunPP2 Karras', 'diffusers has no such method'],
  ['exp_heun_2_x0_sde', 'diffusers has no such method'],
  ['res_multistep', 'diffusers has no such method'],
  ['res_multistep_ancestral', 'diffusers has no such method'],
  ['gradient_estimation', 'diffusers has no such method'],
  ['er_sde', 'diffusers has no such method'],
  ['seeds_2', 'diffusers has no such method'],
  ['ipndm_v', 'diffusers has no such method'],
  ['sa_solver_pece', 'diffusers has no such method'],
  ['Euler SMEA Dy', 'diffusers has no such method'],
  ['deis_2m', 'RES4LYF'],
  ['DDIM CFG++', 'CFG++'],
  ['euler_cfg_pp', 'CFG++'],
  ['Euler a CFG++', 'CFG++'],
  ['dpmpp_2m_cfg_pp', 'CFG++'],
  ['dpmpp_2s_ancestral_cfg_pp', 'CFG++'],
  ['res_multistep_cfg_pp', 'CFG++'],
  ['gradient_estimation_cfg_pp', 'CFG++'],
  ['DDIMParallelScheduler', 'DDIMScheduler computes the same'],
  ['DDIMInverseScheduler', 'turns images back into noise'],
  ['CosineDPMSolverMultistepScheduler', 'audio model'],
  ['SCMScheduler', 'another kind of model'],
  ['kl_optimal', 'it is a schedule that is not implemented, because diffusers has no such schedule'],
  ['DPM++ 2M Align Your Steps', 'its schedule is not implemented, because it is a list of sigmas'],
  ['euler_ddim_uniform', 'its schedule is not implemented'],
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

// Source: ComfyUI comfy/samplers.py, KSAMPLER_NAMES and SAMPLER_NAMES of October 2026; AUTOMATIC1111 1.10, its lists of samplers.
const COMFYUI =
  'euler euler_cfg_pp euler_ancestral euler_ancestral_cfg_pp heun heunpp2 exp_heun_2_x0 exp_heun_2_x0_sde dpm_2 dpm_2_ancestral lms dpm_fast dpm_adaptive ' +
  'dpmpp_2s_ancestral dpmpp_2s_ancestral_cfg_pp dpmpp_sde dpmpp_sde_gpu dpmpp_2m dpmpp_2m_cfg_pp dpmpp_2m_sde dpmpp_2m_sde_gpu dpmpp_2m_sde_heun ' +
  'dpmpp_2m_sde_heun_gpu dpmpp_3m_sde dpmpp_3m_sde_gpu ddpm lcm ipndm ipndm_v deis cfgpp_ud10_ab res_multistep res_multistep_cfg_pp res_multistep_ancestral ' +
  'res_multistep_ancestral_cfg_pp gradient_estimation gradient_estimation_cfg_pp er_sde seeds_2 seeds_3 sa_solver sa_solver_pece ddim uni_pc uni_pc_bh2';
const WEB_UI =
  'DPM++ 2M, DPM++ SDE, DPM++ 2M SDE, DPM++ 2M SDE Heun, DPM++ 2S a, DPM++ 3M SDE, Euler a, Euler, LMS, Heun, DPM2, DPM2 a, DPM fast, DPM adaptive, ' +
  'Restart, DDIM, DDIM CFG++, PLMS, UniPC, LCM';

test('each sampler of ComfyUI and of the web UI is a scheduler, or is refused with a reason', () => {
  const unknown = [...COMFYUI.split(' '), ...WEB_UI.split(', ')].filter(
    (name) => !isSchedulerName(name) && reasonAgainstScheduler(name) === undefined,
  );
  assert.deepEqual(unknown, []);
});

test('each schedule of ComfyUI and of the web UI is one, or is refused with a reason, as a field and as a flag', async () => {
  const comfyUI = 'simple sgm_uniform karras exponential ddim_uniform beta normal linear_quadratic kl_optimal';
  const webUI = [
    'Automatic',
    'Uniform',
    'Polyexponential',
    'SGM Uniform',
    'KL Optimal',
    'Align Your Steps',
    'DDIM',
    'Turbo',
  ];
  for (const name of [...comfyUI.split(' '), ...webUI]) {
    if (scheduleType.parse(name) !== undefined) continue;
    const says = `not implemented, because ${scheduleType.reasonAgainst?.(name)?.split(', because ')[1]}`;
    const refused = scheduleType.refuse('schedule_type', name);
    assert.ok(refused.message.includes(says) && says.length > 50, refused.message);
    const flags = { scheduleType: name };
    await assert.rejects(settle({ command: 'generate', flags, environment: {}, secrets: new Map() }), (error: Error) =>
      error.message.includes(says),
    );
  }
});

test('DPM++ 2M SDE Heun is the multistep solver of the SDE with Heun’s second term', () => {
  assert.deepEqual(parseSchedulerName('DPM++ 2M SDE Heun').short?.settings, {
    algorithm_type: 'sde-dpmsolver++',
    solver_type: 'heun',
  });
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
