/** Makes the scheduler that a request names out of the checkpoint's own configuration. */
import { Text2ImgError } from '../errors/text2img-error.ts';
import { omitUndefined } from '../lib/omit-undefined.ts';
import {
  AUTOMATIC,
  parseScheduleType,
  type ScheduleType,
  settingsOfSchedule,
  simpleTimesteps,
} from './schedule-types.ts';
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

/** As a request has them. */
interface RequestedSchedule extends Pick<SchedulerOptions, 'steps'> {
  readonly eta?: number | null;
  readonly timesteps?: readonly number[] | null;
  readonly sigmas?: readonly number[] | null;
  readonly scheduleType?: string | null;
}

/** @param name a class name or short name @throws `unknown_scheduler`, `invalid_parameter` */
export function createScheduler(
  name: string,
  checkpoint: CheckpointScheduler,
  { steps, eta: askedEta, timesteps, sigmas, scheduleType: asked }: RequestedSchedule,
): Scheduler {
  const named = parseSchedulerName(name);
  const { scheduler, short, scheduleType = scheduleOf(asked) } = named;
  const eta = askedEta ?? 0;
  const byHand = omitUndefined({ timesteps: timesteps ?? undefined, sigmas: sigmas ?? undefined });
  refuseUntaken(scheduler, { eta, ...byHand });
  if (scheduleType !== undefined) refuseSchedule(scheduler, scheduleType);
  const config = {
    ...checkpoint.configFor(scheduler),
    ...short?.settings,
    ...(scheduleType === undefined ? {} : settingsOfSchedule(scheduleType)),
  };
  const trained = typeof config['num_train_timesteps'] === 'number' ? config['num_train_timesteps'] : 1000;
  if (byHand.timesteps !== undefined) checkTimesteps(byHand.timesteps, config, trained);
  const simple = scheduleType === 'simple' ? { timesteps: simpleTimesteps(steps, trained) } : {};
  return scheduler.create(config, { steps, eta, ...byHand, ...simple });
}

function scheduleOf(asked: string | null | undefined): ScheduleType | undefined {
  const type = parseScheduleType(asked ?? AUTOMATIC);
  return type === AUTOMATIC ? undefined : type;
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
