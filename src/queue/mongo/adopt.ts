/** Adopt: another request waits for the job from now on. The one before can no longer cancel it. */
import { OPEN_STATUSES } from '../transitions.ts';
import { literal } from './expressions.ts';
import { byId, MAJORITY, type PromptsCollection } from './prompts-collection.ts';
import type { PromptFilter, PromptUpdate } from './statement-types.ts';

export interface Doors {
  readonly from: string;
  readonly to: string;
}

export async function adopt(prompts: PromptsCollection, id: unknown, { from, to }: Doors): Promise<boolean> {
  const filter: PromptFilter = { ...byId(id), status: { $in: OPEN_STATUSES }, 'job.door': { $eq: from } };
  const update: PromptUpdate = [{ $set: { 'job.door': literal(to) } }];
  return prompts.run(async () => {
    const { matchedCount } = await prompts.collection.updateOne(filter, update);
    return matchedCount === 1 || isAdopted(prompts, id, to);
  });
}

/** An attempt before may have done it, and its answer was lost. */
async function isAdopted({ collection }: PromptsCollection, id: unknown, door: string): Promise<boolean> {
  const filter: PromptFilter = { ...byId(id), 'job.door': { $eq: door } };
  return (await collection.findOne(filter, { projection: { _id: 1 }, ...MAJORITY })) !== null;
}
