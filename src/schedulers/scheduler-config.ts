/**
 * The configuration of the schedulers, `scheduler_config.json`. The values are read by the scheduler itself
 * (its own file); here stands which keys and values each class implements, and in which range each number draws anything.
 * Source: the __init__ of each class in diffusers schedulers/ (keys and defaults).
 */
import { z } from 'zod';
import { Text2ImgError } from '../errors/text2img-error.ts';
import { own } from '../lib/foreign-record.ts';
import { quote } from '../lib/foreign-text.ts';
import { type ConfigRules, type ReadConfig, readConfig } from '../lib/config-rules.ts';

export type SchedulerConfig = Readonly<Record<string, unknown>>;

const number = z.number();
const flag = z.boolean();
/** The method divides by sigmas and takes their logarithms. */
const sigma = z.number().positive().max(1e6).nullable();
/**
 * Smaller ones vanish in float32, where one minus the beta is formed; with 1 no signal is left, and the steps divide by it. diffusers draws
 * nothing outside of this either.
 */
const beta = z.number().min(1e-7).max(0.9999);
/** Tables of this many numbers are made; diffusers' own models have 1000. */
const LONGEST_TRAINING = 100_000;

/** The noise schedule of training; every class has these keys. */
const TRAINING = {
  num_train_timesteps: z.int().positive().max(LONGEST_TRAINING),
  beta_start: beta,
  beta_end: beta,
  beta_schedule: z.enum(['linear', 'scaled_linear', 'squaredcos_cap_v2']),
  trained_betas: z.array(beta).nullable(),
  prediction_type: z.enum(['epsilon', 'sample', 'v_prediction']),
  timestep_spacing: z.enum(['leading', 'trailing', 'linspace']),
  steps_offset: z.int().nonnegative().max(LONGEST_TRAINING),
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
      clip_sample_range: z.number().positive(),
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
      sigma_min: sigma,
      sigma_max: sigma,
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

/** The checkpoint's own scheduler. @throws `unsupported_class`, `unsupported_config`, `invalid_config` */
export function readSchedulerConfig(
  className: string,
  json: Readonly<Record<string, unknown>>,
  where: string,
): ReadConfig<SchedulerConfig> {
  const rules = own(RULES, className);
  if (rules === undefined) {
    throw new Text2ImgError(
      'unsupported_class',
      `${where}: the scheduler class ${quote(className)} is not implemented; allowed: ${Object.keys(RULES).join(', ')}.`,
    );
  }
  const { warnings } = readConfig(rules, json, where);
  checkTogether(className, json, where);
  return { config: json, warnings };
}

/**
 * What another class than the checkpoint's own reads in the same file: its own keys are held to its own rules, the rest is none of its business.
 * @throws `invalid_parameter`, because it was the request that asked for this class
 */
export function carriedSchedulerConfig(className: string, json: Readonly<Record<string, unknown>>): SchedulerConfig {
  const rules = own(RULES, className);
  if (rules === undefined) throw new Text2ImgError('internal', `no scheduler class ${quote(className)}.`);
  const carried = Object.entries(json).filter(
    ([key]) => rules.implementedKeys.includes(key) || Object.hasOwn(rules.onlyDefault, key),
  );
  const config = Object.fromEntries(carried);
  const where = `the scheduler ${className} cannot be used with this model's scheduler_config.json`;
  try {
    readConfig(rules, config, where);
    checkTogether(className, config, where);
  } catch (error) {
    throw new Text2ImgError('invalid_parameter', Text2ImgError.from(error).message, { cause: error });
  }
  return config;
}

/** Values that are allowed one by one, but not together. */
function checkTogether(className: string, config: SchedulerConfig, where: string): void {
  const refuse = (sentence: string): never => {
    throw new Text2ImgError('invalid_config', `${where}: ${sentence}.`);
  };
  const { trained_betas: betas, num_train_timesteps: timesteps = 1000 } = config;
  if (Array.isArray(betas) && betas.length !== timesteps)
    refuse(
      `"trained_betas" has ${betas.length} numbers; "num_train_timesteps" is ${String(timesteps)}, and both must agree`,
    );
  const { sigma_min: low, sigma_max: high } = config;
  if (typeof low === 'number' && typeof high === 'number' && low >= high)
    refuse(`"sigma_min" is ${low}; it must be below "sigma_max", which is ${high}`);
  if (className === 'DDIMScheduler') checkZeroSnr(config, refuse);
  if (className === 'DPMSolverMultistepScheduler') checkFinalSigma(config, refuse);
}

/** At a signal of zero the noise says nothing about the image: diffusers divides by zero there. `leading` never begins at that timestep. */
function checkZeroSnr(config: SchedulerConfig, refuse: (sentence: string) => never): void {
  const {
    rescale_betas_zero_snr: zeroSnr,
    prediction_type: type = 'epsilon',
    timestep_spacing: spacing = 'leading',
  } = config;
  if (zeroSnr === true && type === 'epsilon' && spacing !== 'leading')
    refuse(
      `"rescale_betas_zero_snr" is true and "prediction_type" is "epsilon"; allowed with it: "v_prediction", "sample"`,
    );
}

/** Source: diffusers schedulers/scheduling_dpmsolver_multistep.py, __init__. */
function checkFinalSigma(config: SchedulerConfig, refuse: (sentence: string) => never): void {
  const { algorithm_type: algorithm = 'dpmsolver++', final_sigmas_type: final = 'zero' } = config;
  if (algorithm === 'dpmsolver' && final === 'zero')
    refuse(`"final_sigmas_type" is "zero", which "algorithm_type" "dpmsolver" does not allow; allowed: "sigma_min"`);
}
