/** Documents whose status somebody meant to be `pending`: `Pending`, `queued`, `" pending"`. No worker ever sees them. For `doctor`. */
import { promptIdText } from '../../job/document-id.ts';
import { excerpt, quote } from '../../lib/foreign-text.ts';
import { MAX_STUCK_TOLD } from '../transitions.ts';
import { documentIdOf } from './bson-ids.ts';
import { mongoErrorCode } from './mongo-errors.ts';
import type { PromptsCollection } from './prompts-collection.ts';
import type { PromptFilter } from './statement-types.ts';

const NEAR_MISS: PromptFilter = {
  status: { $regex: /^\s*(?:pending|queued?|enqueued)\s*$/i },
  $nor: [{ status: 'pending' }],
};
/** No index serves this look, and a large collection is not read as a whole for it. */
const MAX_LOOK_MS = 2000;
const MAX_TIME_EXPIRED = 50;
const ID_LENGTH = 100;

/** @returns sentences; none where the collection is too large to be looked through */
export async function nearMisses(prompts: PromptsCollection): Promise<readonly string[]> {
  const found = await prompts.run(async () => {
    try {
      const stages = [{ $match: NEAR_MISS }, { $limit: MAX_STUCK_TOLD }, { $project: { _id: 1, status: 1 } as const }];
      return await prompts.collection.aggregate(stages, { ...prompts.bounds, maxTimeMS: MAX_LOOK_MS });
    } catch (error) {
      if (mongoErrorCode(error) === MAX_TIME_EXPIRED) return [];
      throw error;
    }
  });
  return found.map(
    ({ _id, status }) => `${excerpt(promptIdText(documentIdOf(_id)), ID_LENGTH)} has the status ${quote(status)}`,
  );
}
