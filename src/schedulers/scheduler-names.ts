/** The names under which a scheduler can be asked for: the class names of diffusers, short names, and the samplers of the web UI. */
import { Text2ImgError } from '../errors/text2img-error.ts';
import { quote } from '../lib/foreign-text.ts';
import { didYouMean } from '../lib/nearest-name.ts';
import { SCHEDULERS } from './registry.ts';
import type { SchedulerClass, SchedulerName } from './scheduler.ts';

interface NamedScheduler {
  readonly scheduler: SchedulerClass;
  /** Without it the class's own name was asked for. */
  readonly short?: SchedulerName;
}

const SHORT_NAMES: readonly Required<NamedScheduler>[] = SCHEDULERS.flatMap((scheduler) =>
  scheduler.names.map((short) => ({ scheduler, short })),
);

export const SHORT_SCHEDULER_NAMES: readonly string[] = SHORT_NAMES.map(({ short }) => short.name);

/** Every name that the help lists. */
export const SCHEDULER_NAMES: readonly string[] = [
  ...SCHEDULERS.map(({ className }) => className),
  ...SHORT_SCHEDULER_NAMES,
];

/** The web UI's names for them. These names are allowed too. */
export const SAMPLER_NAMES: readonly string[] = SHORT_NAMES.flatMap(({ short }) => webUiName(short) ?? []);

/** Longer texts are no names, and nobody should wait for their comparison. */
const MAX_NAME_LENGTH = 100;

/** By name in any case and with any spaces. The first of equals counts. */
const NAMED: ReadonlyMap<string, NamedScheduler> = new Map(
  [
    ...SHORT_NAMES.flatMap(({ scheduler, short }) =>
      [short.name, webUiName(short)].flatMap((name) =>
        name === undefined ? [] : [[name, { scheduler, short }] as const],
      ),
    ),
    ...SCHEDULERS.map((scheduler) => [scheduler.className, { scheduler }] as const),
  ]
    .map(([name, named]): [string, NamedScheduler] => [plainName(name), named])
    .toReversed(),
);

export function isSchedulerName(name: string): boolean {
  return namedScheduler(name) !== undefined;
}

/** @throws `unknown_scheduler` */
export function parseSchedulerName(name: string): NamedScheduler {
  const found = namedScheduler(name);
  if (found !== undefined) return found;
  throw new Text2ImgError(
    'unknown_scheduler',
    `the scheduler is ${quote(name)}; allowed: ${SCHEDULER_NAMES.join(', ')}, and the web UI’s names, such as ${SAMPLER_NAMES.join(', ')}.${didYouMean(name, [...SCHEDULER_NAMES, ...SAMPLER_NAMES])}`,
  );
}

function namedScheduler(name: string): NamedScheduler | undefined {
  return NAMED.get(plainName(name));
}

/** `DPM++ 2M Karras`, `dpm++ 2m karras` and `dpmpp_2m_karras` are one name. */
function plainName(name: string): string {
  return name.length > MAX_NAME_LENGTH
    ? name
    : name
        .toLowerCase()
        .replaceAll(/[\s_-]+/g, '')
        .replaceAll('++', 'pp');
}

/** The one name that requests carry: the class, or the short name where it says more than the class. @throws `unknown_scheduler` */
export function resolveSchedulerName(name: string): string {
  const { scheduler, short } = parseSchedulerName(name);
  return short === undefined || Object.keys(short.settings).length === 0 ? scheduler.className : short.name;
}

/** The web UI's name for it; a name that nobody knows stays as it is. */
export function samplerOfScheduler(name: string): string {
  const found = namedScheduler(name);
  return webUiName(found?.short ?? found?.scheduler.names[0]) ?? name;
}

/** The short name of what the web UI calls so, in one name or in two; its other samplers stay as they are. */
export function schedulerOfSampler(sampler: string, scheduleType: string | undefined): string {
  const full =
    isScheduleType(scheduleType) && !sampler.endsWith(` ${scheduleType}`) ? `${sampler} ${scheduleType}` : sampler;
  return SHORT_NAMES.find(({ short }) => webUiName(short) === full)?.short.name ?? full;
}

/** Whether some scheduler's name says this `Schedule type`. */
export function isScheduleType(scheduleType: string | undefined): scheduleType is string {
  return scheduleType !== undefined && SHORT_NAMES.some(({ short }) => short.scheduleType === scheduleType);
}

function webUiName(short: SchedulerName | undefined): string | undefined {
  if (short?.sampler === undefined) return undefined;
  return short.scheduleType === undefined ? short.sampler : `${short.sampler} ${short.scheduleType}`;
}
