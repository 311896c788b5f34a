/** Golden cases whose scheduler is not in the registry yet. Nobody keeps a list of them: a case waits until the registry has its scheduler. */
import { isSchedulerName } from '../../../src/schedulers/scheduler-names.ts';

/** @param request of the `case.json` @returns the scheduler that the case waits for; undefined where it waits for none */
export function waitsFor(request: Readonly<Record<string, unknown>>): string | undefined {
  const { scheduler } = request;
  return typeof scheduler !== 'string' || isSchedulerName(scheduler) ? undefined : scheduler;
}
