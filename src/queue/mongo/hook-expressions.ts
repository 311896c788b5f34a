/** The pieces of the pipelines that change `job.hooks`. Elements that are not ours in form are carried along as they are. */
import { KEPT_DELIVERED } from '../transitions.ts';
import { arrayAt, literal } from './expressions.ts';
import type { Expression, UpdateStage } from './statement-types.ts';

export const HOOKS = arrayAt('$job.hooks');

export function mapHooks(each: Expression): Expression {
  return { $map: { input: HOOKS, as: 'hook', in: each } };
}

export const HAS_DUE_DATE: Expression = {
  $and: [{ $eq: ['$$hook.state', 'pending'] }, { $eq: [{ $type: '$$hook.due' }, 'date'] }],
};

export const IS_DUE: Expression = { $and: [HAS_DUE_DATE, { $lte: ['$$hook.due', '$$NOW'] }] };

export function isOwed(id: string): Expression {
  return { $and: [{ $eq: ['$$hook.id', literal(id)] }, { $eq: ['$$hook.state', 'pending'] }] };
}

/** Failed for good. */
export function closed(error: string): Expression {
  return { $mergeObjects: ['$$hook', { state: 'dead', error: literal(error), token: literal(null) }] };
}

/** The earliest due time of the pending webhooks. `$min` of an empty list is null, which becomes a missing field. */
export const SET_DUE: UpdateStage = {
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

export const TRIM_DELIVERED: UpdateStage = {
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
