/** The pieces of update pipelines: times are the server's, and strings from outside are literals. */

import { Long } from 'mongodb';

/** A whole number as one: the driver would write what does not fit into 32 bits as a double, which Python reads as a float. */
export function wholeNumber(value: number): number | Long {
  return Number.isSafeInteger(value) && Math.abs(value) > 0x7fff_ffff ? Long.fromNumber(value) : value;
}

/** A value that is never read as a field path, however it begins. */
export function literal<T>(value: T): { readonly $literal: T } {
  return { $literal: value };
}

/** The server's clock, `ms` from now. */
export function fromNow(ms: number): { readonly $add: readonly ['$$NOW', number] } {
  // Whole: a fraction would be added as a double and rounded somewhere else.
  return { $add: ['$$NOW', Math.round(ms)] };
}

/** The number at `path`, 0 where something else stands there: a foreign value must not throw. */
export function numberAt(path: string): object {
  return { $cond: [{ $isNumber: path }, path, 0] };
}

/** The array at `path`, empty where something else stands there. */
export function arrayAt(path: string): object {
  return { $cond: [{ $isArray: path }, path, []] };
}

/** True where `status` is this text itself: an equality filter also matches an array that contains it. */
export function statusIs(status: string): object {
  return { $eq: ['$status', status] };
}

/** `job` is ours to write into. A document whose `job` is something else is failed, not claimed. */
export const JOB_IS_OURS = { $in: [{ $type: '$job' }, ['missing', 'object']] };

/** An index bound that also leaves out what is no date: inside `$expr` a missing field would sort before every date. */
export const ANY_DATE = { $gt: new Date(0) };

/** A document whose worker's lease has run out, or whose pause before the next attempt is over. @param condition what else must hold */
export function leaseEnded(condition: object): object {
  return {
    status: 'processing',
    'job.lease_until': ANY_DATE,
    $expr: { $and: [statusIs('processing'), { $lte: ['$job.lease_until', '$$NOW'] }, condition] },
  };
}
