/**
 * Configuration keys that all schedulers share, and their ranges.
 * Source: the __init__ of each class in diffusers schedulers/ (keys and defaults).
 *
 * zod is a parameter of all rules: the help and every queue command need the schedulers' names, and no configuration.
 */
import type { z } from 'zod';
import type { ConfigRules } from '../lib/config-rules.ts';
import { cumulatedAlphas, TRAINING_DEFAULTS, withDefaults } from './noise-schedule.ts';
import type { SchedulerClass, SchedulerConfig, Zod } from './scheduler.ts';

/** The method divides by sigmas and takes their logarithms. */
export const sigmaKey = (z: Zod): z.ZodType<number | null> => z.number().positive().max(1e6).nullable();
/**
 * Smaller ones vanish in float32, where one minus the beta is formed; with 1 no signal is left, and the steps divide by it. diffusers generates
 * nothing outside of this either.
 */
const beta = (z: Zod): z.ZodNumber => z.number().min(1e-7).max(0.9999);
/** Tables of this many numbers are made; diffusers' own models have 1000. */
const LONGEST_TRAINING = 100_000;

/** The noise schedule of training. */
const trainingKeys = (z: Zod): z.ZodRawShape => ({
  num_train_timesteps: z.int().positive().max(LONGEST_TRAINING),
  beta_start: beta(z),
  beta_end: beta(z),
  beta_schedule: z.enum(['linear', 'scaled_linear', 'squaredcos_cap_v2']),
  trained_betas: z.array(beta(z)).nullable(),
  prediction_type: z.enum(['epsilon', 'sample', 'v_prediction']),
  timestep_spacing: z.enum(['leading', 'trailing', 'linspace']),
  steps_offset: z.int().nonnegative().max(LONGEST_TRAINING),
});

/** For `spacedSigmas`. */
export const sigmaSpacingKeys = (z: Zod): z.ZodRawShape => ({
  use_karras_sigmas: z.boolean().nullable(),
  use_exponential_sigmas: z.boolean().nullable(),
  use_beta_sigmas: z.boolean().nullable(),
});
/** For `thresholded`. The largest value becomes a divisor. */
export const thresholdingKeys = (z: Zod): z.ZodRawShape => ({
  thresholding: z.boolean(),
  dynamic_thresholding_ratio: z.number().min(0).max(1),
  sample_max_value: z.number().positive().max(1e6),
});
/** Other models' schedules, which begin without a signal in another way. */
export const FLOW_OFF = {
  use_flow_sigmas: [false, null],
  flow_shift: [1],
  use_dynamic_shifting: [false],
  time_shift_type: ['exponential'],
};

export interface TrainedRules {
  /** Beside those that all share, or with a narrower range. */
  readonly keys: (z: Zod) => z.ZodRawShape;
  readonly onlyDefault?: ConfigRules<SchedulerConfig>['onlyDefault'];
  /** Keys that the class has and does not read, with the reason. */
  readonly withoutEffect?: Readonly<Record<string, string>>;
  /** Beside what all share. */
  readonly contradiction?: (config: SchedulerConfig) => string | undefined;
}

/** The rules of a scheduler whose model was trained with betas. */
export function trainedRules({
  keys,
  onlyDefault = {},
  withoutEffect = {},
  contradiction,
}: TrainedRules): SchedulerClass['rules'] {
  return (z) => {
    const own = keys(z);
    const all = Object.entries({ ...trainingKeys(z), ...own });
    const implemented = Object.fromEntries(all.filter(([key]) => !Object.hasOwn(withoutEffect, key)));
    return {
      implemented: z.object(implemented).partial(),
      implementedKeys: Object.keys(implemented),
      withoutEffect: {
        ...(Object.hasOwn(own, 'clip_sample_range') ? {} : { clip_sample_range: 'read only when clip_sample is on' }),
        ...withoutEffect,
      },
      onlyDefault,
      contradiction: (config) => contradictoryTraining(config) ?? contradiction?.(config),
    };
  };
}

/** Their timesteps follow from the distillation, and they end at a signal that is known. */
const NOT_SPACED = 'the timesteps are those of the distillation';
const NO_END = 'the last step does not ask for it';

/** The rules of consistency models. @param hasBoundary the class reads `timestep_scaling` and keeps the image within bounds, as LCMScheduler does */
export function distillationRules(hasBoundary: boolean): SchedulerClass['rules'] {
  return trainedRules({
    keys: (z) => ({
      original_inference_steps: z.int().positive().max(LONGEST_TRAINING),
      rescale_betas_zero_snr: z.boolean(),
      ...(hasBoundary
        ? {
            ...thresholdingKeys(z),
            clip_sample: z.boolean(),
            clip_sample_range: z.number().positive(),
            timestep_scaling: z.number().positive().max(1e6),
          }
        : {}),
    }),
    withoutEffect: {
      timestep_spacing: NOT_SPACED,
      steps_offset: NOT_SPACED,
      set_alpha_to_one: NO_END,
      ...(hasBoundary
        ? {}
        : Object.fromEntries(
            ['clip_sample', 'clip_sample_range', 'timestep_scaling', ...THRESHOLDING_KEYS].map((key) => [
              key,
              'the class has it and does not read it',
            ]),
          )),
    },
    contradiction: (config) => moreThanTrained(config) ?? noSignalToDivide(config),
  });
}

const THRESHOLDING_KEYS = ['thresholding', 'dynamic_thresholding_ratio', 'sample_max_value'];

function moreThanTrained(config: SchedulerConfig): string | undefined {
  const { original_inference_steps: original = 50, num_train_timesteps: trained = 1000 } = config;
  if (Number(original) <= Number(trained)) return undefined;
  return `"original_inference_steps" is ${String(original)}; allowed is at most "num_train_timesteps", which is ${String(trained)}`;
}

/** At a signal of zero the noise says nothing about the image: diffusers divides by zero there. */
export function noSignalToDivide(config: SchedulerConfig): string | undefined {
  const { rescale_betas_zero_snr: zeroSnr, prediction_type: type = 'epsilon' } = config;
  if (zeroSnr !== true || type !== 'epsilon') return undefined;
  return `"rescale_betas_zero_snr" is true and "prediction_type" is "epsilon"; allowed with it: "v_prediction", "sample"`;
}

const SPACING_KEYS = ['use_karras_sigmas', 'use_exponential_sigmas', 'use_beta_sigmas'];

function contradictoryTraining(config: SchedulerConfig): string | undefined {
  const { trained_betas: betas, num_train_timesteps: timesteps = 1000, sigma_min: low, sigma_max: high } = config;
  if (Array.isArray(betas) && betas.length !== timesteps)
    return `"trained_betas" has ${betas.length} numbers; "num_train_timesteps" is ${String(timesteps)}, and both must agree`;
  if (typeof low === 'number' && typeof high === 'number' && low >= high)
    return `"sigma_min" is ${low}; it must be below "sigma_max", which is ${high}`;
  const spacings = SPACING_KEYS.filter((key) => config[key] === true);
  if (spacings.length > 1) return `${spacings.map((key) => `"${key}"`).join(' and ')} are true; allowed is one of them`;
  return vanishedSignal(config);
}

/** Where ᾱ is 0 in float32 nothing of the image is left, and the methods divide by it: diffusers ends in NaN. */
function vanishedSignal(config: SchedulerConfig): string | undefined {
  const schedule = withDefaults(TRAINING_DEFAULTS, config);
  const left = cumulatedAlphas(schedule).indexOf(0);
  if (left === -1) return undefined;
  const { num_train_timesteps: timesteps, beta_start: start, beta_end: end, trained_betas: betas } = schedule;
  const which = betas === null ? `"beta_start" ${start} and "beta_end" ${end} leave` : `"trained_betas" leave`;
  return `${which} nothing of the image after ${left} of ${timesteps} timesteps; allowed are smaller betas, or fewer timesteps`;
}
