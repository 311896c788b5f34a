/** Remove: deletes a document that has ended. */
import { ENDED_STATUSES } from '../transitions.ts';
import { byId, type PromptsCollection } from './prompts-collection.ts';
import type { PromptFilter } from './statement-types.ts';

/** @returns undefined: there is none any more, or there was none */
export async function remove(prompts: PromptsCollection, id: unknown): Promise<boolean | undefined> {
  const { collection } = prompts;
  const filter: PromptFilter = { ...byId(id), status: { $in: ENDED_STATUSES } };
  let tries = 0;
  return prompts.run(async () => {
    tries++;
    if ((await collection.deleteOne(filter)).deletedCount === 1) return true;
    const isThere = (await collection.findOne(byId(id), { projection: { _id: 1 } })) !== null;
    // The attempt before may have done it, and its answer was lost.
    return isThere ? false : tries > 1 ? true : undefined;
  });
}
