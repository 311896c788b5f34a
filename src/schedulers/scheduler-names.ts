/** The names under which a scheduler can be asked for: the class names of diffusers and the short names that people use. */
import { Text2ImgError } from '../errors/text2img-error.ts';
import { quote } from '../lib/foreign-text.ts';

export const SCHEDULER_CLASSES = [
  'DDIMScheduler',
  'PNDMScheduler',
  'EulerDiscreteScheduler',
  'EulerAncestralDiscreteScheduler',
  'DPMSolverMultistepScheduler',
] as const;
export type SchedulerClass = (typeof SCHEDULER_CLASSES)[number];

/** What a name stands for: a class, and settings that the name implies. */
export interface NamedScheduler {
  readonly className: SchedulerClass;
  /** The name says it; undefined leaves it to the checkpoint's configuration. */
  readonly useKarrasSigmas?: boolean;
}

const SHORT_NAMES: Readonly<Record<string, NamedScheduler>> = {
  ddim: { className: 'DDIMScheduler' },
  pndm: { className: 'PNDMScheduler' },
  euler: { className: 'EulerDiscreteScheduler' },
  euler_a: { className: 'EulerAncestralDiscreteScheduler' },
  dpmpp_2m: { className: 'DPMSolverMultistepScheduler', useKarrasSigmas: false },
  dpmpp_2m_karras: { className: 'DPMSolverMultistepScheduler', useKarrasSigmas: true },
};

/** Every name that is allowed. */
export const SCHEDULER_NAMES: readonly string[] = [...SCHEDULER_CLASSES, ...Object.keys(SHORT_NAMES)];

/** @throws `unknown_scheduler` */
export function parseSchedulerName(name: string): NamedScheduler {
  const short = Object.hasOwn(SHORT_NAMES, name) ? SHORT_NAMES[name] : undefined;
  if (short !== undefined) return short;
  const className = SCHEDULER_CLASSES.find((candidate) => candidate === name);
  if (className !== undefined) return { className };
  throw new Text2ImgError(
    'unknown_scheduler',
    `the scheduler is ${quote(name)}; allowed: ${SCHEDULER_NAMES.join(', ')}.`,
  );
}

/** The one name that requests carry: the class, or the short name where it says more than the class. @throws `unknown_scheduler` */
export function resolveSchedulerName(name: string): string {
  const { className, useKarrasSigmas } = parseSchedulerName(name);
  return useKarrasSigmas === undefined ? className : name;
}
