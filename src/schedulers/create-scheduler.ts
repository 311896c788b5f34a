/** Makes the scheduler that a request names out of the checkpoint's own configuration. */
import type { Scheduler, SchedulerClass, SchedulerConfig, SchedulerOptions } from './scheduler.ts';
import { parseSchedulerName } from './scheduler-names.ts';

export interface CheckpointScheduler {
  /**
   * The checkpoint's configuration as this class takes it over: its own class as it is, any other as diffusers'
   * `X.from_config(pipe.scheduler.config)`. @throws `invalid_parameter` when the other class cannot be used with it
   */
  configFor(scheduler: SchedulerClass): SchedulerConfig;
}

/** @param name a class name or short name @throws `unknown_scheduler`, `invalid_parameter` */
export function createScheduler(name: string, checkpoint: CheckpointScheduler, options: SchedulerOptions): Scheduler {
  const { scheduler, short } = parseSchedulerName(name);
  return scheduler.create({ ...checkpoint.configFor(scheduler), ...short?.settings }, options);
}
