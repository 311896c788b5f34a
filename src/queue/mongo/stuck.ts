/** Stuck: documents that no worker can claim: the server will not store what is written into them, or somebody else's `processing`. For `doctor`. */
import { MongoAPIError } from 'mongodb';
import { promptIdText } from '../../job/document-id.ts';
import { excerpt } from '../../lib/foreign-text.ts';
import type { ModelSelection } from '../prompt-queue.ts';
import { MAX_STUCK_TOLD, stuckSentence } from '../transitions.ts';
import { documentIdOf } from './bson-ids.ts';
import { IS_TOO_LARGE, LEASE_IS_OURS, literal, statusIs } from './expressions.ts';
import type { PromptsCollection } from './prompts-collection.ts';
import { unserved } from './unserved.ts';
import type { CollectionValidator, PromptFields, PromptFilter, Stage } from './statement-types.ts';

/** Counting goes on so far. */
const MOST_COUNTED = 100_000;
const ID_LENGTH = 100;

const NOT_OURS: PromptFilter = {
  status: 'processing',
  $expr: { $and: [statusIs('processing'), { $not: [LEASE_IS_OURS] }] },
};
/** The fields that a claim writes, as far as a validator may check them. */
const CLAIMED: PromptFields = {
  status: 'processing',
  'job.token': literal('x'),
  'job.owner': literal('x'),
  'job.leased_at': '$$NOW',
  'job.lease_until': '$$NOW',
  'job.run_id': literal('x'),
  'job.attempts': 1,
  'job.previous_died': false,
};

/** Processing documents that another program left: without `job`, or with something else than our lease in it. */
export async function countStuck(prompts: PromptsCollection): Promise<number> {
  const { collection, hints, bounds } = prompts;
  return prompts.run(() =>
    collection.countDocuments(NOT_OURS, { limit: MOST_COUNTED, ...bounds, ...hints.processing }),
  );
}

/** @returns sentences */
export async function stuck(prompts: PromptsCollection, served?: ModelSelection): Promise<readonly string[]> {
  const { collection } = prompts;
  const pending: PromptFilter = { status: 'pending', $expr: statusIs('pending') };
  const tooLarge = await idsOf(prompts, 'pending', [
    { $match: { status: 'pending', $expr: { $and: [statusIs('pending'), IS_TOO_LARGE] } } },
  ]);
  const validator = await prompts.run(() => validatorOf(collection));
  // As a claim would leave them: a validator may pass them as they are, and nothing else.
  const refused =
    validator === undefined
      ? []
      : await idsOf(prompts, 'pending', [{ $match: pending }, { $set: CLAIMED }, { $match: { $nor: [validator] } }]);
  const others = await idsOf(prompts, 'processing', [{ $match: NOT_OURS }]);
  return [
    ...tooLarge.map((id) => `${id} is too large: no room is left in its 16 MB`),
    ...refused.map((id) => `${id} does not pass the collection's own validator, so that it cannot be changed`),
    ...others.map(stuckSentence),
    ...(await unserved(prompts, served)),
  ];
}

async function validatorOf(collection: PromptsCollection['collection']): Promise<CollectionValidator | undefined> {
  try {
    return await collection.validator();
  } catch (error) {
    // The driver's own error where there is no collection.
    if (error instanceof MongoAPIError) return undefined;
    throw error;
  }
}

async function idsOf(
  prompts: PromptsCollection,
  hint: 'pending' | 'processing',
  stages: readonly Stage[],
): Promise<string[]> {
  const pipeline: readonly Stage[] = [...stages, { $limit: MAX_STUCK_TOLD }, { $project: { _id: 1 } }];
  const found = await prompts.run(() =>
    prompts.collection.aggregate(pipeline, { ...prompts.bounds, ...prompts.hints[hint] }),
  );
  return found.map(({ _id }) => excerpt(promptIdText(documentIdOf(_id)), ID_LENGTH));
}
