/** The pieces of the pipelines that change `job.hooks`. Elements that are not ours in form are carried along as they are. */
import type { Document } from 'mongodb';
import { arrayAt, literal } from './expressions.ts';

/** So many delivered ones are kept for whoever asks. */
const KEPT_DELIVERED = 5;

export const HOOKS = arrayAt('$job.hooks');

export function mapHooks(each: Document): Document {
  return { $map: { input: HOOKS, as: 'hook', in: each } };
}

const HAS_DUE_DATE: Document = {
  $and: [{ $eq: ['$$hook.state', 'pending'] }, { $eq: [{ $type: '$$hook.due' }, 'date'] }],
};

export const IS_DUE: Document = { $and: [HAS_DUE_DATE, { $lte: ['$$hook.due', '$$NOW'] }] };

export function isOwed(id: string): Document {
  return { $and: [{ $eq: ['$$hook.id', literal(id)] }, { $eq: ['$$hook.state', 'pending'] }] };
}

/** Given up. */
export function closed(error: string): Document {
  return { $mergeObjects: ['$$hook', { state: 'dead', error: literal(error), token: literal(null) }] };
}

/** The earliest that is still owed; `$min` of an empty list is null, which becomes a missing field. */
export const SET_DUE: Document = {
  $set: {
    'job.hook_due': {
      $let: {
        vars: {
          next: {
            $min: {
              $map: {
                input: { $filter: { input: HOOKS, as: 'hook', cond: HAS_DUE_DATE } },
                as: 'hook',
                in: '$$hook.due',
              },
            },
          },
        },
        in: { $ifNull: ['$$next', '$$REMOVE'] },
      },
    },
  },
};

export const TRIM_DELIVERED: Document = {
  $set: {
    'job.hooks': {
      $concatArrays: [
        {
          $slice: [
            { $filter: { input: HOOKS, as: 'hook', cond: { $eq: ['$$hook.state', 'delivered'] } } },
            -KEPT_DELIVERED,
          ],
        },
        { $filter: { input: HOOKS, as: 'hook', cond: { $ne: ['$$hook.state', 'delivered'] } } },
      ],
    },
  },
};
