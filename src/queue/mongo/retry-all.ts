/**
 * Retry all: ended documents of a selection become pending as new runs. There is one write for each, so a document that cannot be changed does not
 * stop the others.
 */
import type { RetriedAll, RetrySelection } from '../prompt-queue.ts';
import { canBeSent } from './bson-ids.ts';
import { byId, type PromptsCollection } from './prompts-collection.ts';
import { RETRY } from './retry.ts';
import type { Expression, PromptFilter } from './statement-types.ts';
import { isRefusal } from './webhook-walk.ts';

const BATCH = 500;

export async function retryAll(prompts: PromptsCollection, selection: RetrySelection): Promise<RetriedAll> {
  const filter = selected(selection);
  let [retried, refused] = [0, 0];
  for await (const { _id } of prompts.collection.find(filter, { projection: { _id: 1 }, batchSize: BATCH })) {
    try {
      if (!canBeSent(_id)) refused++;
      else {
        const write = () => prompts.collection.updateOne({ ...byId(_id), ...filter }, RETRY);
        retried += (await prompts.run(write)).modifiedCount;
      }
    } catch (error) {
      if (!isRefusal(error)) throw error;
      refused++;
    }
  }
  return { retried, refused };
}

export async function countSelected(prompts: PromptsCollection, selection: RetrySelection): Promise<number> {
  return prompts.run(() => prompts.collection.countDocuments(selected(selection), {}));
}

function selected({ status, code, olderThanMs }: RetrySelection): PromptFilter {
  return {
    status,
    // The texts that begin with the code and a colon: the character behind the colon is the semicolon.
    ...(code === undefined ? {} : { error: { $gte: `${code}:`, $lt: `${code};` } }),
    ...(olderThanMs === undefined ? {} : { $expr: endedBefore(status, olderThanMs) }),
  };
}

/** Without an end time that we wrote, we do not know that a document is old. */
function endedBefore(status: RetrySelection['status'], ms: number): Expression {
  const ended = status === 'completed' ? '$completed_at' : '$error_at';
  return {
    $and: [{ $eq: [{ $type: ended }, 'date'] }, { $lte: [ended, { $subtract: ['$$NOW', Math.round(ms)] }] }],
  };
}
