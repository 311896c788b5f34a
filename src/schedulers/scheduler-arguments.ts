/** Arguments and schedules that a scheduler's class does not have in diffusers are refused by name. Nobody should get an image that ignores them. */
import { Text2ImgError } from '../errors/text2img-error.ts';
import { SCHEDULERS } from './registry.ts';
import { AUTOMATIC, parseScheduleType, type ScheduleType } from './schedule-types.ts';
import type { SchedulerArgument, SchedulerClass, SchedulerOptions } from './scheduler.ts';
import { isSchedulerName, parseSchedulerName } from './scheduler-names.ts';

function takes(scheduler: SchedulerClass, argument: SchedulerArgument): boolean {
  return scheduler.takes?.includes(argument) ?? false;
}

/** `eta` 0 is what all of them do without it. @throws `invalid_parameter` */
export function refuseUntaken(
  scheduler: SchedulerClass,
  { timesteps, sigmas, eta = 0 }: Omit<SchedulerOptions, 'steps'>,
): void {
  const given = { timesteps: timesteps !== undefined, sigmas: sigmas !== undefined, eta: eta !== 0 };
  for (const argument of ['timesteps', 'sigmas', 'eta'] as const) {
    if (!given[argument] || takes(scheduler, argument)) continue;
    const others = SCHEDULERS.filter((other) => takes(other, argument)).map(({ className }) => className);
    throw new Text2ImgError(
      'invalid_parameter',
      `"${argument}" is given, but the scheduler ${scheduler.className} takes none; those that do: ${others.join(', ')}.`,
    );
  }
}

/** @throws `invalid_parameter` */
export function refuseSchedule(scheduler: SchedulerClass, scheduleType: ScheduleType): void {
  const { className, scheduleTypes = [] } = scheduler;
  if (scheduleTypes.includes(scheduleType)) return;
  throw new Text2ImgError(
    'invalid_parameter',
    `"schedule_type" is "${scheduleType}", which the scheduler ${className} cannot do; ` +
      (scheduleTypes.length === 0
        ? 'it has its own only, so leave it out.'
        : `allowed are ${scheduleTypes.join(', ')}.`),
  );
}

/** Of a request. @param name that the schedulers have; of another, nothing is known @throws `invalid_parameter` */
export function checkArguments(
  name: string,
  { scheduleType, ...options }: Omit<SchedulerOptions, 'steps'> & { readonly scheduleType?: string },
): void {
  if (!isSchedulerName(name)) return;
  const { scheduler } = parseSchedulerName(name);
  refuseUntaken(scheduler, options);
  const type = parseScheduleType(scheduleType ?? AUTOMATIC);
  if (type !== undefined && type !== AUTOMATIC) refuseSchedule(scheduler, type);
}
