/** Makes the scheduler that a request names out of the checkpoint's own configuration. */
import { DDIMScheduler } from './ddim-scheduler.ts';
import { DPMSolverMultistepScheduler } from './dpm-solver-multistep-scheduler.ts';
import { EulerAncestralDiscreteScheduler } from './euler-ancestral-discrete-scheduler.ts';
import { EulerDiscreteScheduler } from './euler-discrete-scheduler.ts';
import { PNDMScheduler } from './pndm-scheduler.ts';
import type { Scheduler } from './scheduler.ts';
import { parseSchedulerName, type SchedulerClass } from './scheduler-names.ts';

type SchedulerConstructor = new (config: Readonly<Record<string, unknown>>, numInferenceSteps: number) => Scheduler;

const CONSTRUCTORS: Readonly<Record<SchedulerClass, SchedulerConstructor>> = {
  DDIMScheduler,
  PNDMScheduler,
  EulerDiscreteScheduler,
  EulerAncestralDiscreteScheduler,
  DPMSolverMultistepScheduler,
};

export interface CheckpointScheduler {
  /**
   * The checkpoint's configuration as this class takes it over: its own class as it is, any other as diffusers'
   * `X.from_config(pipe.scheduler.config)`. @throws `invalid_parameter` when the other class cannot be used with it
   */
  configFor(className: SchedulerClass): Readonly<Record<string, unknown>>;
}

/** @param name a class name or short name @throws `unknown_scheduler`, `invalid_parameter` */
export function createScheduler(name: string, checkpoint: CheckpointScheduler, numInferenceSteps: number): Scheduler {
  const { className, useKarrasSigmas } = parseSchedulerName(name);
  const config = checkpoint.configFor(className);
  const settings = useKarrasSigmas === undefined ? config : { ...config, use_karras_sigmas: useKarrasSigmas };
  return new CONSTRUCTORS[className](settings, numInferenceSteps);
}
