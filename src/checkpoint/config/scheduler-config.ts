/**
 * The configuration of the schedulers, `scheduler_config.json`. The values are read by the scheduler itself
 * (`diffusion/schedulers/`); here stands which keys and values each class implements.
 * Source: the __init__ of each class in diffusers schedulers/ (keys and defaults).
 */
import { z } from 'zod';
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { type ConfigRules, type ReadConfig, readConfig } from './config-schema.ts';

export type SchedulerConfig = Readonly<Record<string, unknown>>;

const number = z.number();
const flag = z.boolean();
const nullableNumber = z.number().nullable();

/** The noise schedule of training; every class has these keys. */
const TRAINING = {
  num_train_timesteps: z.int().positive(),
  beta_start: number,
  beta_end: number,
  beta_schedule: z.enum(['linear', 'scaled_linear', 'squaredcos_cap_v2']),
  trained_betas: z.array(number).nullable(),
  prediction_type: z.enum(['epsilon', 'sample', 'v_prediction']),
  timestep_spacing: z.enum(['leading', 'trailing', 'linspace']),
  steps_offset: z.int(),
};

const SIGMA_SPACING_OFF = { use_exponential_sigmas: [false, null], use_beta_sigmas: [false, null] };

function rulesOf(
  className: string,
  keys: z.ZodRawShape,
  onlyDefault: ConfigRules<SchedulerConfig>['onlyDefault'] = {},
): ConfigRules<SchedulerConfig> {
  const withoutEffect = { clip_sample_range: 'read only when clip_sample is on' };
  const own = className === 'DDIMScheduler' ? {} : withoutEffect;
  return {
    className,
    implemented: z.object(keys).partial(),
    implementedKeys: Object.keys(keys),
    withoutEffect: own,
    onlyDefault,
  };
}

const THRESHOLDING_OFF = { thresholding: [false] };
const THRESHOLDING_DETAILS = { dynamic_thresholding_ratio: number, sample_max_value: number };

const RULES: Readonly<Record<string, ConfigRules<SchedulerConfig>>> = {
  DDIMScheduler: rulesOf(
    'DDIMScheduler',
    {
      ...TRAINING,
      ...THRESHOLDING_DETAILS,
      clip_sample: flag,
      clip_sample_range: number,
      set_alpha_to_one: flag,
      rescale_betas_zero_snr: flag,
    },
    THRESHOLDING_OFF,
  ),
  PNDMScheduler: rulesOf('PNDMScheduler', {
    ...TRAINING,
    skip_prk_steps: flag,
    set_alpha_to_one: flag,
    prediction_type: z.enum(['epsilon', 'v_prediction']),
  }),
  EulerDiscreteScheduler: rulesOf(
    'EulerDiscreteScheduler',
    {
      ...TRAINING,
      interpolation_type: z.enum(['linear', 'log_linear']),
      use_karras_sigmas: flag.nullable(),
      sigma_min: nullableNumber,
      sigma_max: nullableNumber,
      timestep_type: z.literal('discrete'),
      rescale_betas_zero_snr: flag,
      final_sigmas_type: z.enum(['zero', 'sigma_min']),
    },
    SIGMA_SPACING_OFF,
  ),
  EulerAncestralDiscreteScheduler: rulesOf('EulerAncestralDiscreteScheduler', {
    ...TRAINING,
    rescale_betas_zero_snr: flag,
    prediction_type: z.enum(['epsilon', 'v_prediction']),
  }),
  DPMSolverMultistepScheduler: rulesOf(
    'DPMSolverMultistepScheduler',
    {
      ...TRAINING,
      ...THRESHOLDING_DETAILS,
      solver_order: z.int().min(1).max(3),
      algorithm_type: z.enum(['dpmsolver++', 'dpmsolver']),
      solver_type: z.enum(['midpoint', 'heun']),
      lower_order_final: flag,
      euler_at_final: flag,
      use_karras_sigmas: flag.nullable(),
      final_sigmas_type: z.enum(['zero', 'sigma_min']),
      lambda_min_clipped: z.union([number, z.literal('-Infinity')]).nullable(),
      rescale_betas_zero_snr: flag,
    },
    {
      ...THRESHOLDING_OFF,
      ...SIGMA_SPACING_OFF,
      use_lu_lambdas: [false, null],
      use_flow_sigmas: [false, null],
      flow_shift: [1],
      variance_type: [null],
      use_dynamic_shifting: [false],
      time_shift_type: ['exponential'],
    },
  ),
};

/** @throws `unsupported_class`, `unsupported_config`, `invalid_config` */
export function readSchedulerConfig(
  className: string,
  json: Readonly<Record<string, unknown>>,
  where: string,
): ReadConfig<SchedulerConfig> {
  const rules = RULES[className];
  if (rules === undefined) {
    throw new Text2ImgError(
      'unsupported_class',
      `${where}: the scheduler class "${className}" is not implemented; allowed: ${Object.keys(RULES).join(', ')}.`,
    );
  }
  const { warnings } = readConfig(rules, json, where);
  return { config: json, warnings };
}
