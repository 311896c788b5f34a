/**
 * Fields that take each other’s place: `timesteps` are a number of steps too. One source states one of them, and a weaker source gives way without a
 * word. The order is: document or flag, variable, PNG, operator's default, model's default.
 */
import { Text2ImgError } from '../errors/text2img-error.ts';
import { quote } from '../lib/foreign-text.ts';
import { checkArguments } from '../schedulers/scheduler-arguments.ts';
import { scheduleOfName } from '../schedulers/scheduler-names.ts';
import type { FieldName } from './request-fields.ts';

/** By the names of the fields. */
export type StatedValues = Readonly<Record<string, unknown>>;

const ALTERNATIVES: readonly (readonly [one: FieldName, other: FieldName, names: readonly [string, string]])[] = [
  ['timesteps', 'sigmas', ['timesteps', 'sigmas']],
  ['numInferenceSteps', 'timesteps', ['num_inference_steps', 'timesteps']],
  ['numInferenceSteps', 'sigmas', ['num_inference_steps', 'sigmas']],
  ['scheduleType', 'timesteps', ['schedule_type', 'timesteps']],
  ['scheduleType', 'sigmas', ['schedule_type', 'sigmas']],
];

function has(values: StatedValues, name: string): boolean {
  return (values[name] ?? undefined) !== undefined;
}

/** Of one source: a document, or the flags of a command. @throws `invalid_parameter` */
export function refuseTogether(values: StatedValues): void {
  for (const [one, other, names] of ALTERNATIVES) {
    if (!has(values, one) || !has(values, other)) continue;
    throw new Text2ImgError(
      'invalid_parameter',
      `"${names[0]}" and "${names[1]}" are given together; allowed is one of them.`,
    );
  }
  const { scheduler, scheduleType } = values;
  const named = typeof scheduler === 'string' ? scheduleOfName(scheduler) : undefined;
  if (named === undefined || !has(values, 'scheduleType') || scheduleType === named) return;
  throw new Text2ImgError(
    'invalid_parameter',
    `"schedule_type" is ${quote(scheduleType)}, and the name of "scheduler", ${quote(scheduler)}, says "${named}"; leave one of them out.`,
  );
}

/** @returns the weaker source's values without those that a stronger one takes the place of */
export function withoutDisplaced<T extends object>(weaker: T, stronger: StatedValues): Partial<T> {
  const displaced = new Set<string>(
    ALTERNATIVES.flatMap(([one, other]) => [
      ...(has(stronger, other) && !has(stronger, one) ? [one] : []),
      ...(has(stronger, one) && !has(stronger, other) ? [other] : []),
    ]),
  );
  const { scheduler } = stronger;
  if (typeof scheduler === 'string' && scheduleOfName(scheduler) !== undefined) displaced.add('scheduleType');
  return Object.fromEntries(Object.entries(weaker).filter(([name]) => !displaced.has(name))) as Partial<T>;
}

const ARGUMENTS = ['timesteps', 'sigmas', 'eta', 'scheduleType'] as const;

/** Nobody should get an image that lacks what they asked for. @throws `invalid_parameter` for an argument that the scheduler does not take */
export function refuseUnusable(scheduler: string, stated: StatedValues): void {
  for (const name of ARGUMENTS) if (has(stated, name)) checkArguments(scheduler, { [name]: stated[name] });
}

/** @returns the defaults without those that the scheduler does not take */
export function withoutUnusable<T extends object>(scheduler: string, defaults: T): Partial<T> {
  const values: StatedValues = Object.fromEntries(Object.entries(defaults));
  const unusable = ARGUMENTS.filter((name) => {
    if (!has(values, name)) return false;
    try {
      checkArguments(scheduler, { [name]: values[name] });
      return false;
    } catch {
      return true;
    }
  });
  return Object.fromEntries(
    Object.entries(defaults).filter(([name]) => !unusable.some((argument) => argument === name)),
  ) as Partial<T>;
}

/** Whether the number of steps follows from a list by hand. */
export function countByHand({ timesteps, sigmas }: StatedValues): number | undefined {
  const byHand = timesteps ?? sigmas;
  return Array.isArray(byHand) ? byHand.length : undefined;
}
