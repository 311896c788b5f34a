/** The pieces of update pipelines: times are the server's, and strings from outside are literals. */

import { Long } from 'mongodb';
import type { FailureRecord, JobStatus } from '../prompt-queue.ts';
import { oddLabel } from '../transitions.ts';
import type { Expression, Literal, PromptFilter } from './statement-types.ts';

/** A whole number as one: the driver would write what does not fit into 32 bits as a double, which Python reads as a float. */
export function wholeNumber(value: number): number | Long {
  return Number.isSafeInteger(value) && Math.abs(value) > 0x7fff_ffff ? Long.fromNumber(value) : value;
}

/** The same JSON value, with each whole number in it as one. */
export function withWidths(value: unknown): unknown {
  if (typeof value === 'number') return wholeNumber(value);
  if (Array.isArray(value)) return value.map(withWidths);
  if (typeof value !== 'object' || value === null) return value;
  return fieldsWithWidths(value);
}

/** The same for the fields of a document. */
export function fieldsWithWidths(fields: object): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, withWidths(value)]));
}

/** A value that is never read as a field path, however it begins. */
export function literal<T>(value: T): Literal<T> {
  return { $literal: value };
}

/** The server's clock, `ms` from now. */
export function fromNow(ms: number): { readonly $add: readonly ['$$NOW', number] } {
  // Whole: a fraction would be added as a double and rounded somewhere else.
  return { $add: ['$$NOW', Math.round(ms)] };
}

/** The path of a field, or of a webhook's. */
type FieldPath = Extract<Expression, `$${string}`>;

/** The number at `path`, 0 where something else stands there: a foreign value must not throw. */
export function numberAt(path: FieldPath): Expression {
  return { $cond: [{ $isNumber: path }, path, 0] };
}

/** The array at `path`, empty where something else stands there. */
export function arrayAt(path: FieldPath): Expression {
  return { $cond: [{ $isArray: path }, path, []] };
}

/** True where `status` is this text itself: an equality filter also matches an array that contains it. */
export function statusIs(status: JobStatus): Expression {
  return { $eq: ['$status', status] };
}

/** `job` is ours to write into. A document whose `job` is something else is failed, not claimed. */
export const JOB_IS_OURS: Expression = { $in: [{ $type: '$job' }, ['missing', 'object']] };

/** Types that a label may have. */
const LABEL_TYPES = ['missing', 'null', 'string', 'undefined'] as const satisfies readonly Expression[];
const LABEL_TYPE_NAMES: ReadonlySet<unknown> = new Set(LABEL_TYPES);

/** Two labels decide who generates a document, and when. A server writes a text there, or nothing. */
export const LABELS_ARE_OURS: Expression = {
  $and: [{ $in: [{ $type: '$job.model' }, LABEL_TYPES] }, { $in: [{ $type: '$job.tenant' }, LABEL_TYPES] }],
};

/** For a projection. */
export const LABEL_TYPES_OF = { model_type: { $type: '$job.model' }, tenant_type: { $type: '$job.tenant' } } as const;

/** Of what `LABEL_TYPES_OF` has read. Undefined: the labels are ours. */
export function oddLabelOf(document: Readonly<Record<string, unknown>>): FailureRecord | undefined {
  const labels = { model: document['model_type'], tenant: document['tenant_type'] } as const;
  const odd = (['model', 'tenant'] as const).find((label) => !LABEL_TYPE_NAMES.has(labels[label]));
  return odd === undefined ? undefined : oddLabel(odd, String(labels[odd]));
}

/** A document may have 16 MB; what is written into it later must find room, images' addresses and webhooks included. */
const LARGEST_BYTES = 15 * 1024 * 1024;

export const IS_TOO_LARGE: Expression = { $gt: [{ $bsonSize: '$$ROOT' }, LARGEST_BYTES] };

/** An index bound that also leaves out what is no date: inside `$expr` a missing field would sort before every date. */
export const ANY_DATE = { $gt: new Date(0) };

/** The largest value that `--max-attempts` allows: we never write a higher number. */
const MOST_ATTEMPTS = 1000;

/** `job.attempts` if it is a whole number that we may have written, else 0: NaN, a negative one or a text would never reach any maximum. */
export const ATTEMPTS: Expression = {
  $cond: [
    { $in: [{ $type: '$job.attempts' }, ['int', 'long', 'double']] },
    {
      $cond: [
        {
          $and: [
            { $gte: ['$job.attempts', 0] },
            { $lte: ['$job.attempts', MOST_ATTEMPTS] },
            { $eq: ['$job.attempts', { $trunc: '$job.attempts' }] },
          ],
        },
        { $toInt: '$job.attempts' },
        0,
      ],
    },
    0,
  ],
};

/** `job.run_id` is one of ours: 32 hexadecimal digits. It becomes part of names and seeds. A pattern would throw for bytes that are not UTF-8. */
export const RUN_IS_OURS: Expression = {
  $cond: [
    { $eq: [{ $type: '$job.run_id' }, 'string'] },
    {
      $and: [
        { $eq: [{ $strLenBytes: '$job.run_id' }, 32] },
        { $eq: [{ $trim: { input: '$job.run_id', chars: '0123456789abcdef' } }, ''] },
      ],
    },
    false,
  ],
};

/** The longest lease is a day (`--lease-seconds`), the longest pause minutes: what lies further ahead was not written by us. */
const FARTHEST_LEASE_MS = 2 * 24 * 60 * 60_000;

/** The query beside the expressions: dates only, in the index's order. Through a list of sub-documents it matches too. */
export const HAS_LEASE_DATE = { status: 'processing', 'job.lease_until': { $type: 'date' } } as const;

/** A claim that we may have made: `job` is a sub-document, no list of them, with one real date and a token that is a text. */
export const LEASE_IS_OURS: Expression = {
  $and: [
    statusIs('processing'),
    { $eq: [{ $type: '$job' }, 'object'] },
    { $eq: [{ $type: '$job.lease_until' }, 'date'] },
    { $in: [{ $type: '$job.token' }, ['string', 'missing']] },
  ],
};

/** Its worker's lease has run out, its pause is over, or the lease ends later than any that we write. */
export const LEASE_IS_OVER: Expression = {
  $or: [{ $lte: ['$job.lease_until', '$$NOW'] }, { $gt: ['$job.lease_until', { $add: ['$$NOW', FARTHEST_LEASE_MS] }] }],
};

/** A document whose worker's lease has run out, or whose pause before the next attempt is over. @param condition must hold as well */
export function leaseEnded(condition: Expression): PromptFilter {
  return { ...HAS_LEASE_DATE, $expr: { $and: [LEASE_IS_OURS, LEASE_IS_OVER, condition] } };
}
