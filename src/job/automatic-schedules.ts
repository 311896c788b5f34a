/** A sampler without a schedule is the model's own here, where a web UI takes another. The log says so once for each. */
import { automaticScheduleOf } from '../schedulers/scheduler-names.ts';
import type { ResolvedGenerationRequest } from './generation-request.ts';

interface InfoLog {
  info(message: string, fields: Readonly<Record<string, string>>): void;
}

export class AutomaticSchedules {
  readonly #told = new Set<string>();

  tell({ scheduler, scheduleType }: ResolvedGenerationRequest, logger: InfoLog): void {
    const isAsked = scheduleType !== null && scheduleType !== 'automatic';
    const schedule = isAsked ? undefined : automaticScheduleOf(scheduler);
    if (schedule === undefined || this.#told.has(scheduler)) return;
    this.#told.add(scheduler);
    logger.info('the scheduler takes the model’s own sigmas', { scheduler, web_ui_schedule_type: schedule });
  }
}
