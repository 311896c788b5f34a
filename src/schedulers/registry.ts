/** The schedulers that there are. A new one is its own file and a line here; names, configuration keys, help and PNG texts follow from it. */
import { own } from '../lib/foreign-record.ts';
import { DDIM } from './ddim-scheduler.ts';
import { DDPM } from './ddpm-scheduler.ts';
import { DEIS } from './deis-multistep-scheduler.ts';
import { DPM_SOLVER_MULTISTEP } from './dpm-solver-multistep-scheduler.ts';
import { DPM_SOLVER_SINGLESTEP } from './dpm-solver-singlestep-scheduler.ts';
import { DPM_SOLVER_SDE } from './dpm-solver-sde-scheduler.ts';
import { EDM_DPM_SOLVER_MULTISTEP } from './edm-dpm-solver-multistep-scheduler.ts';
import { EDM_EULER } from './edm-euler-scheduler.ts';
import { EULER_ANCESTRAL } from './euler-ancestral-discrete-scheduler.ts';
import { EULER } from './euler-discrete-scheduler.ts';
import { HEUN } from './heun-discrete-scheduler.ts';
import { KDPM2_ANCESTRAL } from './k-dpm-2-ancestral-discrete-scheduler.ts';
import { KDPM2 } from './k-dpm-2-discrete-scheduler.ts';
import { LCM } from './lcm-scheduler.ts';
import { LMS } from './lms-discrete-scheduler.ts';
import { PNDM } from './pndm-scheduler.ts';
import { SA_SOLVER } from './sa-solver-scheduler.ts';
import type { SchedulerClass } from './scheduler.ts';
import { TCD } from './tcd-scheduler.ts';
import { UNIPC } from './unipc-multistep-scheduler.ts';

export const SCHEDULERS: readonly SchedulerClass[] = [
  DDIM,
  PNDM,
  EULER,
  EULER_ANCESTRAL,
  DPM_SOLVER_MULTISTEP,
  LCM,
  TCD,
  UNIPC,
  DEIS,
  DDPM,
  LMS,
  HEUN,
  KDPM2,
  KDPM2_ANCESTRAL,
  DPM_SOLVER_SINGLESTEP,
  SA_SOLVER,
  EDM_EULER,
  EDM_DPM_SOLVER_MULTISTEP,
  DPM_SOLVER_SDE,
];

const BY_CLASS_NAME = Object.fromEntries(SCHEDULERS.map((scheduler) => [scheduler.className, scheduler]));

/** @param className as a file or a request says it */
export function schedulerClassOf(className: string): SchedulerClass | undefined {
  return own(BY_CLASS_NAME, className);
}
