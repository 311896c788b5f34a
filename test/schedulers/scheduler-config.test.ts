/** What a scheduler's file may say, for its own class and for another one that a request asks for. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Text2ImgError } from '../../src/errors/text2img-error.ts';
import { schedulerClassOf } from '../../src/schedulers/registry.ts';
import type { SchedulerClass } from '../../src/schedulers/scheduler.ts';
import { carriedSchedulerConfig, readSchedulerConfig } from '../../src/schedulers/scheduler-config.ts';

type Config = Readonly<Record<string, unknown>>;

function classOf(className: string): SchedulerClass {
  const found = schedulerClassOf(className);
  assert.ok(found, className);
  return found;
}

function refusalOf(action: () => unknown): Text2ImgError {
  try {
    action();
  } catch (error) {
    assert.ok(error instanceof Text2ImgError, String(error));
    return error;
  }
  assert.fail('nothing was refused');
}

const OWN: readonly (readonly [className: string, config: Config, says: readonly string[]])[] = [
  ['DDIMScheduler', { beta_end: 2 }, ['beta_end', '2']],
  ['DDIMScheduler', { beta_start: 0 }, ['beta_start', '0']],
  ['EulerDiscreteScheduler', { beta_start: -0.1 }, ['beta_start', '-0.1']],
  ['PNDMScheduler', { beta_end: 1 }, ['beta_end', '1']],
  ['DDIMScheduler', { trained_betas: [] }, ['trained_betas', '0 numbers', '1000']],
  ['DDIMScheduler', { trained_betas: [0.1, 0.2, 0.3], num_train_timesteps: 4 }, ['3 numbers', '4']],
  ['EulerDiscreteScheduler', { trained_betas: [0.1, 2], num_train_timesteps: 2 }, ['trained_betas']],
  ['DDIMScheduler', { num_train_timesteps: 1e12 }, ['num_train_timesteps', '1000000000000']],
  ['DDIMScheduler', { num_train_timesteps: 0 }, ['num_train_timesteps']],
  ['DDIMScheduler', { num_train_timesteps: 999.5 }, ['num_train_timesteps', '999.5']],
  ['PNDMScheduler', { steps_offset: -1 }, ['steps_offset', '-1']],
  ['EulerDiscreteScheduler', { use_karras_sigmas: true, sigma_min: 0, sigma_max: 0 }, ['sigma_min', '0']],
  ['EulerDiscreteScheduler', { sigma_min: 5, sigma_max: 5 }, ['sigma_min', 'sigma_max', '5']],
  ['EulerDiscreteScheduler', { sigma_max: 1e300 }, ['sigma_max']],
  ['DPMSolverMultistepScheduler', { algorithm_type: 'dpmsolver' }, ['final_sigmas_type', 'zero', 'sigma_min']],
  ['DPMSolverMultistepScheduler', { solver_order: 4 }, ['solver_order', '4']],
  ['DPMSolverMultistepScheduler', { lambda_min_clipped: 30 }, ['lambda_min_clipped', '30', 'no timestep']],
  ['DDIMScheduler', { beta_start: 0.5, beta_end: 0.9999 }, ['beta_start', '0.5', 'beta_end', '0.9999', '1000']],
  [
    'PNDMScheduler',
    { trained_betas: Array.from({ length: 20 }, () => 0.9999), num_train_timesteps: 20 },
    ['trained_betas', '11 of 20'],
  ],
  [
    'DDIMScheduler',
    { rescale_betas_zero_snr: true, timestep_spacing: 'trailing' },
    ['rescale_betas_zero_snr', 'epsilon'],
  ],
  ['LCMScheduler', { original_inference_steps: 2000 }, ['original_inference_steps', '2000', '1000']],
  ['LCMScheduler', { rescale_betas_zero_snr: true }, ['rescale_betas_zero_snr', 'epsilon']],
  ['TCDScheduler', { original_inference_steps: 0 }, ['original_inference_steps', '0']],
  ['UniPCMultistepScheduler', { predict_x0: false }, ['predict_x0', 'final_sigmas_type', 'sigma_min']],
  ['UniPCMultistepScheduler', { solver_type: 'bh1' }, ['bh1', 'final_sigmas_type', 'sigma_min']],
  ['UniPCMultistepScheduler', { lower_order_final: false }, ['lower_order_final', 'sigma_min']],
  ['UniPCMultistepScheduler', { use_flow_sigmas: true }, ['use_flow_sigmas', 'true']],
  ['DEISMultistepScheduler', { solver_order: 4 }, ['solver_order', '4']],
  ['DDPMScheduler', { variance_type: 'learned' }, ['variance_type', 'learned']],
  ['DDPMScheduler', { variance_type: 'fixed_large_log' }, ['variance_type', 'fixed_large_log']],
  [
    'LMSDiscreteScheduler',
    { use_karras_sigmas: true, use_beta_sigmas: true },
    ['use_karras_sigmas', 'use_beta_sigmas'],
  ],
  ['KDPM2DiscreteScheduler', { prediction_type: 'sample' }, ['prediction_type', 'sample']],
  [
    'DPMSolverSinglestepScheduler',
    { algorithm_type: 'dpmsolver', final_sigmas_type: 'sigma_min', thresholding: true },
    ['thresholding', 'dpmsolver'],
  ],
  ['DPMSolverSinglestepScheduler', { algorithm_type: 'dpmsolver' }, ['final_sigmas_type', 'sigma_min']],
  ['SASolverScheduler', { algorithm_type: 'noise_prediction', thresholding: true }, ['thresholding']],
  ['SASolverScheduler', { predictor_order: 5 }, ['predictor_order', '5']],
  ['EDMEulerScheduler', { sigma_min: 90 }, ['sigma_min', '90', 'sigma_max', '80']],
  ['EDMDPMSolverMultistepScheduler', { algorithm_type: 'sde-dpmsolver++', solver_order: 3 }, ['solver_order']],
  ['EDMDPMSolverMultistepScheduler', { prediction_type: 'sample' }, ['prediction_type', 'sample']],
];

for (const [className, config, says] of OWN) {
  test(`${className} with ${JSON.stringify(config)} is refused with key, value and file`, () => {
    const error = refusalOf(() => readSchedulerConfig(className, config, 'x/scheduler_config.json'));
    assert.equal(error.fault, 'model');
    for (const text of ['x/scheduler_config.json', ...says]) assert.ok(error.message.includes(text), error.message);
  });
}

for (const name of ['constructor', 'toString', '__proto__', 'hasOwnProperty', 'x'.repeat(200_000), '\u001b[31m'])
  test(`${name.slice(0, 20)} is no scheduler class`, () => {
    const error = refusalOf(() => readSchedulerConfig(name, {}, 'f'));
    assert.equal(error.code, 'unsupported_class');
    assert.ok(error.message.length <= 600);
    assert.ok(!error.message.includes('\u001b'));
  });

test('real files of the hub are read as they are', () => {
  // stable-diffusion-v1-5, stable-diffusion-2-1 and sdxl-turbo as diffusers saves them, the keys that its classes know.
  const file = {
    beta_end: 0.012,
    beta_schedule: 'scaled_linear',
    beta_start: 0.00085,
    clip_sample: false,
    num_train_timesteps: 1000,
    set_alpha_to_one: false,
    skip_prk_steps: true,
    steps_offset: 1,
    trained_betas: null,
    prediction_type: 'epsilon',
    timestep_spacing: 'leading',
    rescale_betas_zero_snr: false,
    use_karras_sigmas: false,
    sigma_min: null,
    sigma_max: null,
  };
  for (const className of [
    'DDIMScheduler',
    'PNDMScheduler',
    'EulerDiscreteScheduler',
    'EulerAncestralDiscreteScheduler',
    'DPMSolverMultistepScheduler',
  ]) {
    readSchedulerConfig(className, file, 'f');
    carriedSchedulerConfig(classOf(className), file);
  }
});

const CARRIED: readonly (readonly [asked: string, config: Config, key: string])[] = [
  ['EulerDiscreteScheduler', { use_exponential_sigmas: true, use_beta_sigmas: true }, 'use_exponential_sigmas'],
  ['EulerDiscreteScheduler', { use_beta_sigmas: 1 }, 'use_beta_sigmas'],
  ['EulerDiscreteScheduler', { timestep_type: 'stepwise' }, 'timestep_type'],
  ['EulerDiscreteScheduler', { interpolation_type: 'cubic' }, 'interpolation_type'],
  ['EulerDiscreteScheduler', { final_sigmas_type: 'bogus' }, 'final_sigmas_type'],
  ['EulerDiscreteScheduler', { use_karras_sigmas: 'yes' }, 'use_karras_sigmas'],
  ['EulerAncestralDiscreteScheduler', { prediction_type: 'sample' }, 'prediction_type'],
  ['PNDMScheduler', { prediction_type: 'sample' }, 'prediction_type'],
  ['DPMSolverMultistepScheduler', { use_lu_lambdas: 'yes' }, 'use_lu_lambdas'],
  ['DPMSolverMultistepScheduler', { use_flow_sigmas: true }, 'use_flow_sigmas'],
  ['DPMSolverMultistepScheduler', { use_karras_sigmas: true, use_exponential_sigmas: true }, 'use_exponential_sigmas'],
  ['DPMSolverMultistepScheduler', { algorithm_type: 'sde-dpmsolver' }, 'sde-dpmsolver'],
  [
    'DPMSolverMultistepScheduler',
    { algorithm_type: 'sde-dpmsolver', final_sigmas_type: 'sigma_min', solver_order: 3 },
    'solver_order',
  ],
  ['DPMSolverMultistepScheduler', { solver_type: 'bh3' }, 'solver_type'],
  ['DPMSolverMultistepScheduler', { variance_type: 'learned' }, 'variance_type'],
  ['DPMSolverMultistepScheduler', { thresholding: true, sample_max_value: 0 }, 'sample_max_value'],
];

for (const [asked, config, key] of CARRIED) {
  test(`${asked}, asked for with ${JSON.stringify(config)} in another class's file, is the request's fault and names the key`, () => {
    const error = refusalOf(() => carriedSchedulerConfig(classOf(asked), config));
    assert.equal(error.code, 'invalid_parameter');
    assert.ok(error.message.includes(key), error.message);
    assert.ok(error.message.includes(asked), error.message);
  });
}

test('keys of the file that another class does not have are none of its business, and do not reach it', () => {
  const config = { use_exponential_sigmas: true, constructor: 1, skip_prk_steps: true, num_train_timesteps: 500 };
  assert.deepEqual(carriedSchedulerConfig(classOf('DDIMScheduler'), config), { num_train_timesteps: 500 });
});
