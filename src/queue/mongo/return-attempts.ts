/** Return attempts: a document that was put off turned out to be innocent. It is pending again, and those attempts do not count. */
import type { WaitingPrompt } from '../prompt-queue.ts';
import { ownedBy, type PromptsCollection } from './prompts-collection.ts';
import { releasePipeline } from './release.ts';
import type { PromptFilter } from './statement-types.ts';

export async function returnAttempts(
  prompts: PromptsCollection,
  { id, runId, waitToken, attempts }: WaitingPrompt,
): Promise<boolean> {
  // This is not the token of a claim, but the token that put the document off. A worker that has claimed it since has another token.
  const filter: PromptFilter = { ...ownedBy({ id, token: waitToken }), 'job.run_id': runId };
  const { matchedCount } = await prompts.run(() => prompts.collection.updateOne(filter, releasePipeline(attempts)));
  return matchedCount === 1;
}
