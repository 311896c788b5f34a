/**
 * A name that no prompt document, webhook or expression has is a type error. The compiler makes this test: `npm run typecheck` fails for each
 * `@ts-expect-error` without an error below it. Here the same values are only counted.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { literal, statusIs } from '../../../src/queue/mongo/expressions.ts';
import { byId } from '../../../src/queue/mongo/prompts-collection.ts';
import type {
  Expression,
  HookFilter,
  PromptFilter,
  PromptProjection,
  PromptSort,
  PromptUpdate,
} from '../../../src/queue/mongo/statement-types.ts';
import { PromptStatements } from '../../../src/queue/mongo/statements.ts';

test('a name that does not exist is a type error in a filter, an update, an expression, a projection and an order', () => {
  const filters: readonly PromptFilter[] = [
    { status: 'pending', 'job.token': 'x', $expr: { $lt: ['$job.attempts', 3] } },
    // @ts-expect-error: no such field
    { staus: 'pending' },
    // @ts-expect-error: no such field of `job`
    { ...byId(1), 'job.tokn': 'x' },
    // @ts-expect-error: no such operator
    { 'job.token': { $exsts: true } },
    // @ts-expect-error: no such type
    { 'job.lease_until': { $type: 'dat' } },
    // @ts-expect-error: deep inside, no such path
    { $or: [{ $expr: { $and: [{ $eq: ['$job.tokn', literal('x')] }] } }] },
    // @ts-expect-error: no such status
    { $expr: statusIs('pendign') },
  ];
  const hooks: readonly HookFilter[] = [
    { id: 'x', $or: [{ token: 'y' }] },
    // @ts-expect-error: no such field of a webhook
    { stat: 'pending' },
  ];
  const updates: readonly PromptUpdate[] = [
    [{ $set: { status: 'processing', 'job.lease_until': { $add: ['$$NOW', 5] } } }, { $unset: ['job.owner'] }],
    // @ts-expect-error: no such field
    [{ $set: { stauts: 'processing' } }],
    // @ts-expect-error: no such field to remove
    [{ $unset: ['job.ownr'] }],
    // @ts-expect-error: a text that is neither a path nor a literal
    [{ $set: { error: 'engine_crashed' } }],
    // @ts-expect-error: no such stage
    [{ $sett: { status: 'processing' } }],
  ];
  const expressions: readonly Expression[] = [
    { $cond: [{ $isArray: ['$job.hooks'] }, '$job.hooks', []] },
    // @ts-expect-error: no such operator
    { $condition: [true, 1, 2] },
    // @ts-expect-error: no such variable
    { $lte: ['$$hook.dua', '$$NOW'] },
  ];
  const projections: readonly PromptProjection[] = [
    { _id: 1, wait_ms: { $subtract: ['$job.lease_until', '$$NOW'] } },
    // @ts-expect-error: no such field
    { 'job.hoks': 1 },
  ];
  const orders: readonly PromptSort[] = [
    { 'job.lease_until': 1 },
    // @ts-expect-error: no such field
    { 'job.lease_util': 1 },
  ];
  const statements = (prompts: PromptStatements): unknown[] => [
    // @ts-expect-error: the statement itself asks for it too
    prompts.updateOne({ _id: { $eq: 1 } }, [{ $set: { sttus: 'error' } }]),
    // @ts-expect-error: no such field
    prompts.findOne({ _ID: 1 }, { projection: { _id: 1 } }),
  ];
  const lists = [filters, hooks, updates, expressions, projections, orders];
  assert.deepEqual([...lists.map(({ length }) => length), statements.length], [7, 2, 5, 3, 2, 2, 1]);
  assert.ok(!('save' in PromptStatements.prototype), 'no statement goes around these types');
});
