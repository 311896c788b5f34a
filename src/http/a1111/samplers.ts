/**
 * Samplers and schedules in the web UI's names. There the sampler is `sampler_name`, and `scheduler` is the schedule: our `scheduler` and
 * `schedule_type`.
 */
import { quote } from '../../lib/foreign-text.ts';
import { AUTOMATIC, parseScheduleType, SCHEDULE_LABELS, SCHEDULE_TYPES } from '../../schedulers/schedule-types.ts';
import { checkArguments } from '../../schedulers/scheduler-arguments.ts';
import { reasonAgainstSchedule } from '../../schedulers/refused-names.ts';
import { isSchedulerName, scheduleOfName, WEB_UI_SAMPLERS } from '../../schedulers/scheduler-names.ts';
import { type Body, statedIn } from './body.ts';

/** Of `GET /sdapi/v1/samplers`. */
export const SAMPLER_LIST = WEB_UI_SAMPLERS.map(({ name, aliases }) => ({ name, aliases, options: {} }));

/** Of `GET /sdapi/v1/schedulers`. */
export const SCHEDULE_LIST = [
  { name: AUTOMATIC, label: 'Automatic' },
  ...SCHEDULE_TYPES.map((name) => ({ name, label: SCHEDULE_LABELS[name] })),
];

export interface AskedSampler {
  /** The document's fields; a value that is no sampler stays, and is refused with the document. */
  readonly fields: { readonly scheduler?: unknown; readonly schedule_type?: unknown };
  readonly warnings: readonly string[];
}

/**
 * The web UI takes a schedule that it does not know, or that the sampler cannot do, as none. So does this door, with a warning: SillyTavern keeps its
 * schedule when the user takes another sampler.
 */
export function askedSampler(body: Body): AskedSampler {
  const sampler = statedIn(body, 'sampler_name') ?? statedIn(body, 'sampler_index');
  const schedule = statedIn(body, 'scheduler');
  const scheduler = sampler === undefined ? {} : { scheduler: sampler };
  if (schedule === undefined) return { fields: scheduler, warnings: [] };
  if (typeof schedule !== 'string') return { fields: { ...scheduler, schedule_type: schedule }, warnings: [] };
  const type = parseScheduleType(schedule);
  const named = typeof sampler === 'string' ? scheduleOfName(sampler) : undefined;
  if (type === AUTOMATIC || (type !== undefined && type === named)) return { fields: scheduler, warnings: [] };
  const reason = reasonAgainst({ schedule, sampler, type, named });
  if (reason === undefined) return { fields: { ...scheduler, schedule_type: type }, warnings: [] };
  return { fields: scheduler, warnings: [`"scheduler" is ${quote(schedule)}, which has no effect: ${reason}.`] };
}

interface AskedSchedule {
  readonly schedule: string;
  readonly sampler: unknown;
  readonly type: string | undefined;
  readonly named: string | undefined;
}

/** @returns why the schedule cannot be taken; undefined where it can, and where only the worker knows */
function reasonAgainst({ schedule, sampler, type, named }: AskedSchedule): string | undefined {
  if (type === undefined) return reasonAgainstSchedule(schedule) ?? 'there is no such schedule here';
  if (typeof sampler !== 'string' || !isSchedulerName(sampler)) return undefined;
  if (named !== undefined) return `the name ${quote(sampler)} says ${quote(named)}`;
  return takes(sampler, { scheduleType: type }) ? undefined : `the sampler ${quote(sampler)} cannot do it`;
}

/** Whether the sampler takes such an argument; true for a sampler that nobody knows, which is refused elsewhere. */
export function takes(sampler: string, asked: Parameters<typeof checkArguments>[1]): boolean {
  try {
    checkArguments(sampler, asked);
    return true;
  } catch {
    return false;
  }
}
