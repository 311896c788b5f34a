/** Pending documents whose `job.model` no living worker claims: another program wrote it, or the worker of a model is gone. For `doctor`. */
import { promptIdText } from '../../job/document-id.ts';
import type { ModelSelection } from '../prompt-queue.ts';
import { MAX_STUCK_TOLD, unservedSentence } from '../transitions.ts';
import { documentIdOf } from './bson-ids.ts';
import { JOB_IS_OURS, statusIs } from './expressions.ts';
import { valuesOf } from './model-scope.ts';
import type { PromptsCollection } from './prompts-collection.ts';
import type { Expression, PromptFilter } from './statement-types.ts';

const TYPE: Expression = { $type: '$job.model' };
const IS_TEXT: Expression = { $eq: [TYPE, 'string'] };
const IS_ABSENT: Expression = { $in: [TYPE, ['missing', 'null', 'undefined']] };
/** Another program may have put megabytes there. */
const MODEL_LENGTH = 200;
const SHOWN: Expression = { $cond: [IS_TEXT, { $substrCP: ['$job.model', 0, MODEL_LENGTH] }, { $not: [IS_ABSENT] }] };

/** @param served undefined: it only looks for models that are no text @returns sentences */
export async function unserved(
  prompts: PromptsCollection,
  served: ModelSelection | undefined,
): Promise<readonly string[]> {
  const { collection, bounds, hints } = prompts;
  const isOther: Expression = served === undefined ? { $not: [{ $or: [IS_TEXT, IS_ABSENT] }] } : true;
  const filter: PromptFilter = {
    status: 'pending',
    $expr: { $and: [statusIs('pending'), JOB_IS_OURS, isOther] },
    // As a claim matches it, elements of lists included.
    'job.model': { $nin: served === undefined ? [null] : valuesOf(served) },
  };
  const stages = [{ $match: filter }, { $limit: MAX_STUCK_TOLD }, { $project: { _id: 1, model: SHOWN } as const }];
  const found = await prompts.run(() => collection.aggregate(stages, { ...bounds, ...hints.pending }));
  return found.map(({ _id, model }) => unservedSentence(promptIdText(documentIdOf(_id)), namedBy(model)));
}

function namedBy(model: unknown): string | null | undefined {
  if (typeof model === 'string') return model;
  return model === true ? undefined : null;
}
