/**
 * The schedules that a request can ask for by name, and what each means in diffusers. Source: the configuration keys `use_…_sigmas` and
 * `timestep_spacing` of its schedulers, and its page api/schedulers/overview, "Noise schedules and schedule types".
 */
import { plainName } from './plain-name.ts';

export const SCHEDULE_TYPES = ['karras', 'exponential', 'beta', 'sgm_uniform', 'normal', 'simple'] as const;

export type ScheduleType = (typeof SCHEDULE_TYPES)[number];

/** As the web UI shows them. */
export const SCHEDULE_LABELS: Readonly<Record<ScheduleType, string>> = {
  karras: 'Karras',
  exponential: 'Exponential',
  beta: 'Beta',
  sgm_uniform: 'SGM Uniform',
  normal: 'Normal',
  simple: 'Simple',
};

/** The model's own sigmas, as if nobody asked for a schedule. */
export const AUTOMATIC = 'automatic';

/** @param name in any case, with any blanks, `_`, `-` and `+` @returns undefined for a name that is none of a schedule */
export function parseScheduleType(name: string): ScheduleType | typeof AUTOMATIC | undefined {
  const plain = plainName(name);
  return ([...SCHEDULE_TYPES, AUTOMATIC] as const).find((type) => plainName(type) === plain);
}

type Settings = Readonly<Record<string, unknown>>;

const PLAIN_SIGMAS: Settings = {
  use_karras_sigmas: false,
  use_exponential_sigmas: false,
  use_beta_sigmas: false,
  use_lu_lambdas: false,
};

/** The configuration keys that a schedule decides; all others stay as they are. `sigma_schedule` is EDM's. */
const SETTINGS: Readonly<Record<ScheduleType, Settings>> = {
  karras: { ...PLAIN_SIGMAS, use_karras_sigmas: true, sigma_schedule: 'karras' },
  exponential: {
    ...PLAIN_SIGMAS,
    use_exponential_sigmas: true,
    timestep_spacing: 'linspace',
    sigma_schedule: 'exponential',
  },
  beta: { ...PLAIN_SIGMAS, use_beta_sigmas: true, timestep_spacing: 'linspace' },
  sgm_uniform: { ...PLAIN_SIGMAS, timestep_spacing: 'trailing' },
  normal: { ...PLAIN_SIGMAS, timestep_spacing: 'linspace' },
  simple: PLAIN_SIGMAS,
};

export function settingsOfSchedule(type: ScheduleType): Settings {
  return SETTINGS[type];
}

/**
 * The timesteps of `simple`: from the last trained one downwards in equal parts, cut to whole numbers. diffusers has no key for them; a class can do
 * them that takes timesteps by hand. Source: ComfyUI comfy/samplers.py, simple_scheduler.
 */
export function simpleTimesteps(steps: number, trained: number): number[] {
  return Array.from({ length: steps }, (_, index) => trained - 1 - Math.trunc((index * trained) / steps));
}
