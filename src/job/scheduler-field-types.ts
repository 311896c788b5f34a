/** The types of the fields that say how the scheduler steps: its name, its schedule, and lists of numbers by hand. */
import { Text2ImgError } from '../errors/text2img-error.ts';
import { reasonAgainstSchedule } from '../schedulers/refused-names.ts';
import { AUTOMATIC, parseScheduleType, SCHEDULE_LABELS, SCHEDULE_TYPES } from '../schedulers/schedule-types.ts';
import {
  ALLOWED_SCHEDULERS,
  isSchedulerName,
  parseSchedulerName,
  reasonAgainstScheduler,
  resolveSchedulerName,
  SAMPLER_NAMES,
  SCHEDULER_NAMES,
} from '../schedulers/scheduler-names.ts';
import { type FieldType, refusal, stated } from './field-types.ts';

function parseScheduler(value: unknown): string | undefined {
  return typeof value === 'string' && isSchedulerName(value) ? resolveSchedulerName(value) : undefined;
}

/** A class name of diffusers, a short name or the web UI's name; becomes the name that requests carry. */
export const schedulerName: FieldType<string> = {
  json: { type: 'string', enum: SCHEDULER_NAMES },
  allowed: `one of ${ALLOWED_SCHEDULERS}`,
  names: [...SCHEDULER_NAMES, ...SAMPLER_NAMES],
  code: 'unknown_scheduler',
  reasonAgainst: reasonAgainstScheduler,
  parse: parseScheduler,
  parseText: parseScheduler,
  readText: (name) => name,
  format: (name) => name,
  refuse: (name, value) => {
    if (typeof value !== 'string') return refusal('strings')(name, value);
    try {
      parseSchedulerName(value);
    } catch (error) {
      return Text2ImgError.from(error);
    }
    return refusal(ALLOWED_SCHEDULERS, 'unknown_scheduler')(name, value);
  },
};

interface DescendingOptions {
  readonly item: FieldType<number>;
  /** Completes "allowed are": whole numbers from 0. */
  readonly items: string;
  readonly maxCount: number;
  readonly example: string;
}

/** At least one number, each smaller than the one before. As a text they have commas between them. */
export function descending({ item, items, maxCount, example }: DescendingOptions): FieldType<readonly number[]> {
  const allowed = `numbers going down, such as ${example}`;
  const most = Number.isFinite(maxCount) ? `, at most ${maxCount}` : '';
  const exactly = `${items}, each smaller than the one before${most}`;
  const parse = (value: unknown): readonly number[] | undefined => {
    if (!Array.isArray(value) || value.length === 0 || value.length > maxCount) return undefined;
    const numbers = value.map((one) => item.parse(one));
    const isDescending = numbers.every(
      (one, index) => one !== undefined && (index === 0 || one < (numbers[index - 1] ?? one)),
    );
    return isDescending ? (numbers as number[]) : undefined;
  };
  const readText = (text: string): readonly number[] => text.split(',').map((one) => item.readText(one) ?? Number.NaN);
  return {
    json: {
      type: 'array',
      items: item.json,
      minItems: 1,
      ...(Number.isFinite(maxCount) ? { maxItems: maxCount } : {}),
    },
    allowed,
    code: 'invalid_parameter',
    parse,
    parseText: (text) => parse(readText(text)),
    readText: (text) => {
      const numbers = readText(text);
      return numbers.every(Number.isFinite) ? numbers : undefined;
    },
    format: (numbers) => numbers.map((one) => item.format(one)).join(', '),
    refuse: (name, value) => {
      const fault = faultOf(value, item);
      return fault === undefined
        ? refusal(exactly)(name, value)
        : new Text2ImgError('invalid_parameter', `"${name}" ${fault}; allowed are ${exactly}.`);
    },
  };
}

/** @returns which of the numbers is at fault; undefined where it is not one of them */
function faultOf(value: unknown, item: FieldType<number>): string | undefined {
  if (!Array.isArray(value) || value.length === 0) return undefined;
  for (const [index, one] of value.entries()) {
    const before: unknown = value[index - 1];
    if (item.parse(one) === undefined) return `has ${stated(one)} as number ${index + 1}`;
    if (typeof before === 'number' && one >= before)
      return `has ${stated(one)} behind ${stated(before)}, as number ${index + 1}`;
  }
  return `has ${value.length} numbers`;
}

/** A schedule, or `automatic` for the model's own. */
export const scheduleType: FieldType<string> = {
  json: { type: 'string', enum: [...SCHEDULE_TYPES, AUTOMATIC] },
  allowed: `one of ${SCHEDULE_TYPES.join(', ')}, or ${AUTOMATIC} for the model’s own`,
  names: [...SCHEDULE_TYPES, AUTOMATIC],
  code: 'invalid_parameter',
  parse: (value) => (typeof value === 'string' ? parseScheduleType(value) : undefined),
  parseText: parseScheduleType,
  readText: (name) => name,
  format: (type) => (SCHEDULE_LABELS as Readonly<Record<string, string>>)[type] ?? type,
  reasonAgainst: (text) => {
    const reason = reasonAgainstSchedule(text);
    return reason === undefined ? undefined : `not implemented, because ${reason}`;
  },
  refuse: (name, value) => {
    const allowed = `${SCHEDULE_TYPES.join(', ')} and ${AUTOMATIC}`;
    const reason = typeof value === 'string' ? reasonAgainstSchedule(value) : undefined;
    if (reason === undefined) return refusal(allowed)(name, value);
    const sentence = `"${name}" is ${stated(value)}: not implemented, because ${reason}. Allowed are ${allowed}.`;
    return new Text2ImgError('invalid_parameter', sentence);
  },
};
