/**
 * The names under which a scheduler can be asked for: diffusers' class names, short names, samplers of web UIs and of ComfyUI. Each may have a
 * schedule behind it.
 */
import { Text2ImgError } from '../errors/text2img-error.ts';
import { quote } from '../lib/foreign-text.ts';
import { didYouMean } from '../lib/nearest-name.ts';
import { plainName } from './plain-name.ts';
import { reasonAgainst, reasonAgainstSchedule, reasonAgainstScheduleBehind } from './refused-names.ts';
import { SCHEDULERS } from './registry.ts';
import { AUTOMATIC, parseScheduleType, SCHEDULE_LABELS, SCHEDULE_TYPES, type ScheduleType } from './schedule-types.ts';
import type { SchedulerClass, SchedulerName } from './scheduler.ts';

interface NamedScheduler {
  readonly scheduler: SchedulerClass;
  /** Without it the class's own name was asked for. */
  readonly short?: SchedulerName;
  /** The schedule that stood behind the name, where the short name has none itself. */
  readonly scheduleType?: ScheduleType;
}

const SHORT_NAMES: readonly Required<Omit<NamedScheduler, 'scheduleType'>>[] = SCHEDULERS.flatMap((scheduler) =>
  scheduler.names.map((short) => ({ scheduler, short })),
);

export const SHORT_SCHEDULER_NAMES: readonly string[] = SHORT_NAMES.map(({ short }) => short.name);

const CLASS_NAMES = SCHEDULERS.map(({ className }) => className);

/** Every name that the help lists. */
export const SCHEDULER_NAMES: readonly string[] = [...CLASS_NAMES, ...SHORT_SCHEDULER_NAMES];

/** As the web UI lists its samplers. */
export const WEB_UI_SAMPLERS: readonly { readonly name: string; readonly aliases: readonly string[] }[] =
  SHORT_NAMES.flatMap(({ short }) => {
    const name = webUiName(short);
    return name === undefined ? [] : [{ name, aliases: [short.name, ...(short.aliases ?? [])] }];
  });

/** The web UI's names for them. These names are allowed too. */
export const SAMPLER_NAMES: readonly string[] = WEB_UI_SAMPLERS.map(({ name }) => name);

/** For sentences, which have 600 characters: with every class name the list was cut. */
export const ALLOWED_SCHEDULERS = `${SHORT_SCHEDULER_NAMES.join(', ')}, a class name of diffusers such as ${CLASS_NAMES[0] ?? ''}, or a web UI’s name such as ${SAMPLER_NAMES.at(-1) ?? ''}`;

/** By plain name. The first of equals counts. */
const NAMED: ReadonlyMap<string, NamedScheduler> = new Map(
  [
    ...SHORT_NAMES.flatMap(({ scheduler, short }) =>
      [short.name, webUiName(short), ...(short.aliases ?? [])].flatMap((name) =>
        name === undefined ? [] : [[name, { scheduler, short }] as const],
      ),
    ),
    ...SCHEDULERS.map((scheduler) => [scheduler.className, { scheduler }] as const),
  ]
    .map(([name, named]): [string, NamedScheduler] => [plainName(name), named])
    .toReversed(),
);

export function isSchedulerName(name: string): boolean {
  const named = namedScheduler(name);
  return named !== undefined && unableTo(named) === undefined;
}

/** @throws `unknown_scheduler` */
export function parseSchedulerName(name: string): NamedScheduler {
  const found = namedScheduler(name);
  if (found !== undefined && unableTo(found) === undefined) return found;
  const reason = reasonAgainstScheduler(name);
  const why = reason === undefined ? `.${didYouMean(name, [...SCHEDULER_NAMES, ...SAMPLER_NAMES])}` : `: ${reason}.`;
  throw new Text2ImgError('unknown_scheduler', `the scheduler is ${quote(name)}${why} Allowed: ${ALLOWED_SCHEDULERS}.`);
}

function namedScheduler(name: string): NamedScheduler | undefined {
  const plain = plainName(name);
  const whole = NAMED.get(plain);
  if (whole !== undefined) return whole;
  for (const type of [...SCHEDULE_TYPES, AUTOMATIC] as const) {
    const ending = plainName(type);
    const base = plain.endsWith(ending) ? NAMED.get(plain.slice(0, -ending.length)) : undefined;
    if (base === undefined || base.short?.scheduleType !== undefined) continue;
    return type === AUTOMATIC ? base : { ...base, scheduleType: type };
  }
  return undefined;
}

/** Why a name is not allowed that means something; undefined for one that means nothing, and for those that are allowed. */
export function reasonAgainstScheduler(name: string): string | undefined {
  const named = namedScheduler(name);
  if (named !== undefined) return unableTo(named);
  const reason = reasonAgainst(withoutSchedule(name));
  if (reason !== undefined) return `not implemented, because ${reason}`;
  if (parseScheduleType(name) !== undefined) return 'it is a schedule: give it as "schedule_type"';
  const ofSchedule = reasonAgainstSchedule(name);
  if (ofSchedule !== undefined) return `it is a schedule that is not implemented, because ${ofSchedule}`;
  const behind = reasonAgainstScheduleBehind(name, (sampler) => NAMED.has(sampler));
  return behind === undefined ? undefined : `its schedule is not implemented, because ${behind}`;
}

/** About a schedule that the class does not have. */
function unableTo({ scheduler, scheduleType }: NamedScheduler): string | undefined {
  const { className, scheduleTypes = [] } = scheduler;
  if (scheduleType === undefined || scheduleTypes.includes(scheduleType)) return undefined;
  const allowed = scheduleTypes.length === 0 ? 'none but the model’s own' : scheduleTypes.join(', ');
  return `${className} cannot do the schedule ${scheduleType}, only ${allowed}`;
}

function withoutSchedule(name: string): string {
  const plain = plainName(name);
  const ending = SCHEDULE_TYPES.map(plainName).find((type) => plain.endsWith(type)) ?? '';
  return plain.slice(0, plain.length - ending.length);
}

/**
 * The one name that requests carry: the class, or the short name where it says more than the class, with its schedule.
 * @throws `unknown_scheduler`
 */
export function resolveSchedulerName(name: string): string {
  const { scheduler, short, scheduleType } = parseSchedulerName(name);
  if (scheduleType !== undefined) return `${short?.name ?? scheduler.className}_${scheduleType}`;
  return short === undefined || Object.keys(short.settings).length === 0 ? scheduler.className : short.name;
}

/** The web UI's name for it; a name that nobody knows stays as it is. */
export function samplerOfScheduler(name: string): string {
  const found = namedScheduler(name);
  const sampler = webUiName(found?.short ?? found?.scheduler.names[0]);
  if (sampler === undefined) return name;
  return found?.scheduleType === undefined ? sampler : `${sampler} ${SCHEDULE_LABELS[found.scheduleType]}`;
}

/** The name for what the web UI calls so, in one name or in two; its other samplers stay as they are. */
export function schedulerOfSampler(sampler: string, scheduleType: string | undefined): string {
  const full =
    isScheduleType(scheduleType) && !sampler.endsWith(` ${scheduleType}`) ? `${sampler} ${scheduleType}` : sampler;
  const exact = SHORT_NAMES.find(({ short }) => webUiName(short) === full)?.short.name;
  return exact ?? (isSchedulerName(full) ? resolveSchedulerName(full) : full);
}

/** Whether some scheduler can do what the web UI calls so as its `Schedule type`. */
export function isScheduleType(scheduleType: string | undefined): scheduleType is string {
  if (scheduleType === undefined) return false;
  return (
    Object.values(SCHEDULE_LABELS).includes(scheduleType) ||
    SHORT_NAMES.some(({ short }) => short.scheduleType === scheduleType)
  );
}

/** The schedule that the name itself says. */
export function scheduleOfName(name: string): ScheduleType | undefined {
  const found = namedScheduler(name);
  if (found?.scheduleType !== undefined) return found.scheduleType;
  const type = parseScheduleType(found?.short?.scheduleType ?? '');
  return type === AUTOMATIC ? undefined : type;
}

/** For the log: a web UI would have taken this schedule, where the request names none. */
export function automaticScheduleOf(name: string): ScheduleType | undefined {
  if (scheduleOfName(name) !== undefined) return undefined;
  const { short, scheduler } = namedScheduler(name) ?? {};
  // A request carries the class for a short name that says no more (`resolveSchedulerName`).
  return (short ?? scheduler?.names.find(({ settings }) => Object.keys(settings).length === 0))?.automatic;
}

function webUiName(short: SchedulerName | undefined): string | undefined {
  if (short?.sampler === undefined) return undefined;
  return short.scheduleType === undefined ? short.sampler : `${short.sampler} ${short.scheduleType}`;
}
