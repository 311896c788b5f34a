/** The webhooks of the outbox as operators see them: listed, and counted. */
import { promptIdText } from '../../job/document-id.ts';
import { webhookSummary } from '../job-record.ts';
import type { ListWebhooks, WebhookSummary } from '../webhook-outbox.ts';
import { documentIdOf } from './bson-ids.ts';
import { findId } from './find-id.ts';
import { HOOKS } from './hook-expressions.ts';
import { hooksIn } from './hooks-in.ts';
import type { IndexHints } from './indexes.ts';
import { byId, type PromptsCollection } from './prompts-collection.ts';
import type { PromptFilter, Stage } from './statement-types.ts';

/** Documents with long bodies are many megabytes. */
const LIST_BATCH = 20;

export async function listWebhooks(
  prompts: PromptsCollection,
  { state, limit, promptId }: ListWebhooks,
): Promise<readonly WebhookSummary[]> {
  const of = promptId === undefined ? undefined : await findId(prompts, promptId);
  if (promptId !== undefined && of === undefined) return [];
  const filter: PromptFilter = {
    ...(of === undefined ? {} : byId(of.id)),
    ...(state === undefined ? { 'job.hooks.0': { $exists: true } } : { 'job.hooks.state': state }),
  };
  const options = { projection: { 'job.hooks': 1 }, sort: { _id: -1 }, batchSize: LIST_BATCH } as const;
  return prompts.run(async () => {
    const found: WebhookSummary[] = [];
    // One after the other: a document may have 16 MB.
    for await (const document of prompts.collection.find(filter, options)) {
      const promptId = promptIdText(documentIdOf(document._id));
      for (const hook of hooksIn(document))
        if (found.length < limit && (state === undefined || hook.state === state))
          found.push(webhookSummary(promptId, hook));
      if (found.length >= limit) break;
    }
    return found;
  });
}

export async function countWebhooks(
  prompts: PromptsCollection,
): Promise<{ readonly pending: number; readonly dead: number }> {
  const [pending, dead] = await Promise.all([
    count(prompts, 'pending', { 'job.hook_due': { $exists: true } }),
    count(prompts, 'dead', { 'job.hooks.state': 'dead' }),
  ]);
  return { pending, dead };
}

async function count(prompts: PromptsCollection, state: 'pending' | 'dead', documents: PromptFilter): Promise<number> {
  const stages: readonly Stage[] = [
    { $match: documents },
    {
      $project: { count: { $size: { $filter: { input: HOOKS, as: 'hook', cond: { $eq: ['$$hook.state', state] } } } } },
    },
    { $group: { _id: null, count: { $sum: '$count' } } },
  ];
  // Read at each attempt: the index may be gone since.
  const hint = (): IndexHints['webhooks'] => (state === 'pending' ? prompts.hints.webhooks : {});
  const [sum] = await prompts.run(() => prompts.collection.aggregate(stages, hint()));
  return Number(sum?.['count'] ?? 0);
}
