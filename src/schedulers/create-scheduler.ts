/** Makes the scheduler that a request names out of the checkpoint's own configuration. */
import { Text2ImgError } from '../errors/text2img-error.ts';
import { type ScheduleType, settingsOfSchedule, simpleTimesteps } from './schedule-types.ts';
import type { Scheduler, SchedulerClass, SchedulerConfig, SchedulerOptions } from './scheduler.ts';
import { refuseSchedule, refuseUntaken } from './scheduler-arguments.ts';
import { parseSchedulerName } from './scheduler-names.ts';
import { spacingKey } from './sigma-schedules.ts';

export interface CheckpointScheduler {
  /**
   * The checkpoint's configuration as this class takes it over: its own class as it is, any other as diffusers'
   * `X.from_config(pipe.scheduler.config)`. @throws `invalid_parameter` when the other class cannot be used with it
   */
  configFor(scheduler: SchedulerClass): SchedulerConfig;
}

export interface RequestedSchedule extends SchedulerOptions {
  readonly scheduleType?: ScheduleType;
}

/** @param name a class name or short name @throws `unknown_scheduler`, `invalid_parameter` */
export function createScheduler(
  name: string,
  checkpoint: CheckpointScheduler,
  { scheduleType, ...options }: RequestedSchedule,
): Scheduler {
  const { scheduler, short } = parseSchedulerName(name);
  refuseUntaken(scheduler, options);
  if (scheduleType !== undefined) refuseSchedule(scheduler, scheduleType);
  const config = {
    ...checkpoint.configFor(scheduler),
    ...short?.settings,
    ...(scheduleType === undefined ? {} : settingsOfSchedule(scheduleType)),
  };
  const trained = typeof config['num_train_timesteps'] === 'number' ? config['num_train_timesteps'] : 1000;
  if (options.timesteps !== undefined) checkTimesteps(options.timesteps, config, trained);
  const byHand = scheduleType === 'simple' ? { timesteps: simpleTimesteps(options.steps, trained) } : {};
  return scheduler.create(config, { ...options, ...byHand });
}

/** @throws `invalid_parameter` */
function checkTimesteps(timesteps: readonly number[], config: SchedulerConfig, trained: number): void {
  const first = timesteps[0] ?? 0;
  if (first >= trained)
    throw new Text2ImgError(
      'invalid_parameter',
      `"timesteps" begins with ${first}; the model was trained with ${trained} timesteps, so allowed are whole numbers from 0 to ${trained - 1}.`,
    );
  const key = spacingKey(config);
  if (key === undefined) return;
  throw new Text2ImgError(
    'invalid_parameter',
    `"timesteps" cannot be given where the scheduler spaces its sigmas itself, and "${key}" is true; allowed is another scheduler, such as "euler".`,
  );
}
