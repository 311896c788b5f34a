/** The checkpoint's scheduler configuration for the class that a request asks for. */
import type { CheckpointScheduler as StoredScheduler } from '../../checkpoint/checkpoint.ts';
import type { CheckpointScheduler } from '../../schedulers/create-scheduler.ts';
import { carriedSchedulerConfig } from '../../schedulers/scheduler-config.ts';

type Config = StoredScheduler['config'];

interface ConfigChanges {
  /** For the checkpoint's own class, where a missing key would otherwise be the class's default. */
  own(config: Config): Config;
  /** For any other class: only keys that stand in the file carry over. */
  carried(config: Config): Config;
}

const NO_CHANGES: ConfigChanges = { own: (config) => config, carried: (config) => config };

/** @param changes of the pipeline class; diffusers' XL pipelines make none */
export function checkpointScheduler(
  { className, config }: StoredScheduler,
  changes: ConfigChanges = NO_CHANGES,
): CheckpointScheduler {
  return {
    configFor: (scheduler) =>
      scheduler.className === className
        ? changes.own(config)
        : carriedSchedulerConfig(scheduler, changes.carried(config)),
  };
}
