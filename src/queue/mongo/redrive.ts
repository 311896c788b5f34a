/** Redrive: webhooks that failed for good are due again. One without a valid proof is sent only when an operator names it. */
import { documentIdOf } from './bson-ids.ts';
import { literal } from './expressions.ts';
import { mapHooks, SET_DUE } from './hook-expressions.ts';
import { hooksIn } from './hooks-in.ts';
import type { PromptsCollection } from './prompts-collection.ts';
import type { Expression, HookFilter, PromptFilter, PromptUpdate } from './statement-types.ts';
import { filterOfId, type WholeHook } from './webhook-place.ts';
import { isProven, proofFor } from './webhook-proof.ts';
import { isRefusal } from './webhook-walk.ts';

const BATCH = 20;

/** @returns how many are due again */
export async function redrive(prompts: PromptsCollection, id: string | undefined): Promise<number> {
  const named: HookFilter = id === undefined ? { state: 'dead' } : { id, state: 'dead' };
  const { keys } = await prompts.webhookKeys.toRead({ isStale: true });
  let [redriven, leftOut] = [0, 0];
  const documents = prompts.collection.find(
    { 'job.hooks': { $elemMatch: named } },
    {
      projection: { 'job.hooks': 1 },
      batchSize: BATCH,
    },
  );
  for await (const document of documents) {
    const dead = hooksIn(document).filter((hook) => hook.state === 'dead' && (id === undefined || hook.id === id));
    const documentId = documentIdOf(document._id);
    const whole = dead.filter((hook): hook is WholeHook => hook.body !== undefined);
    const proven = whole.filter((hook) => isProven(keys, documentId, hook));
    const [adopted] = proven.length === 0 && id !== undefined ? whole : [];
    const proofs = proven.map(({ proof }) => proof);
    const isIt = adopted === undefined ? isProvenBy(proofs) : isNamed(adopted.id);
    const proof = adopted === undefined ? {} : { proof: literal(await proofFor(prompts, documentId, adopted)) };
    const count = adopted === undefined ? proofs.length : 1;
    leftOut += dead.length - count;
    if (count === 0) continue;
    const again: Expression = { $mergeObjects: ['$$hook', { state: 'pending', attempts: 0, due: '$$NOW', ...proof }] };
    const pipeline: PromptUpdate = [{ $set: { 'job.hooks': mapHooks({ $cond: [isIt, again, '$$hook'] }) } }, SET_DUE];
    const filter: PromptFilter = { ...filterOfId(document._id, {}), 'job.hooks': { $elemMatch: named } };
    try {
      const write = (): Promise<unknown> => prompts.collection.updateOne(filter, pipeline);
      await prompts.run(write);
      redriven += count;
    } catch (error) {
      // The document cannot be changed, which is no reason to leave the others.
      if (!isRefusal(error)) throw error;
      leftOut += count;
    }
  }
  if (leftOut > 0 && id === undefined)
    prompts.logger.warning(
      'some webhooks were left out: they have no proof, or the database refuses to change them; "text2img webhooks redrive ID" retries one',
      { count: leftOut },
    );
  return redriven;
}

function isProvenBy(proofs: readonly unknown[]): Expression {
  return { $and: [{ $eq: ['$$hook.state', 'dead'] }, { $in: ['$$hook.proof', literal(proofs)] }] };
}

function isNamed(id: string): Expression {
  return { $and: [{ $eq: ['$$hook.state', 'dead'] }, { $eq: ['$$hook.id', literal(id)] }] };
}
