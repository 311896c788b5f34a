/**
 * Ends prompts that no worker ever gets: those whose attempts all died, whose `job` is not ours, or whose `_id` names nothing. The write that
 * ends one carries the webhook that it owes.
 */

import { Text2ImgError } from '../../errors/text2img-error.ts';
import { PROMPT_FIELDS, promptFieldsOf } from '../../job/prompt-document.ts';
import type { Endings, FailureRecord, UnclaimedPrompt } from '../prompt-queue.ts';
import { docKeyOf, newRunId } from '../transitions.ts';
import { documentIdOf } from './bson-ids.ts';
import { JOB_IS_OURS, RUN_IS_OURS } from './expressions.ts';
import { failPipeline } from './fail.ts';
import { oweWebhook } from './owe-webhook.ts';
import type { PromptsCollection } from './prompts-collection.ts';
import {
  type Expression,
  including,
  type PromptFilter,
  type PromptProjection,
  type PromptUpdate,
} from './statement-types.ts';
import { type ProvenWebhook, prove } from './webhook-proof.ts';

const PROJECTION: PromptProjection = {
  ...including(PROMPT_FIELDS),
  run_id: { $cond: [RUN_IS_OURS, '$job.run_id', null] },
};

export interface UnclaimedEnding {
  /** Finds exactly this document. */
  readonly filter: PromptFilter;
  readonly failure: FailureRecord;
  readonly endings: Endings | undefined;
}

/** False: it was not there any more. @throws `queue_refused`, `invalid_document` when the server will not store it; else as `run` */
export async function endUnclaimed(
  prompts: PromptsCollection,
  { filter, failure, endings }: UnclaimedEnding,
): Promise<boolean> {
  const { collection, database } = prompts;
  // Where nobody hears of it, it need not be read.
  if (endings === undefined) return (await writeEnding(prompts, filter, { failure, webhook: undefined })) !== 'lost';
  const record = await prompts.run(() => collection.findOne(filter, { projection: PROJECTION, ...prompts.bounds }));
  if (record === null) return false;
  const id = documentIdOf(record._id);
  const prompt: UnclaimedPrompt = {
    id,
    docKey: docKeyOf({ database, collection: collection.name }, id),
    runId: typeof record['run_id'] === 'string' ? record['run_id'] : newRunId(),
    document: promptFieldsOf(record),
    failure,
  };
  const webhook = await prove(prompts, id, endings.webhookFor(prompt));
  const owed = await writeEnding(prompts, filter, { failure, webhook });
  if (owed === 'lost') return false;
  endings.onEnded(prompt, owed);
  return true;
}

interface Ending {
  readonly failure: FailureRecord;
  readonly webhook: ProvenWebhook | undefined;
}

/** @returns the webhook that is owed now */
async function writeEnding(
  prompts: PromptsCollection,
  filter: PromptFilter,
  { failure, webhook }: Ending,
): Promise<ProvenWebhook | undefined | 'lost'> {
  const { collection } = prompts;
  let tries = 0;
  try {
    const pipeline = endPipeline({ failure, webhook });
    const matched = await prompts.run(async () => {
      tries++;
      return (await collection.updateOne(filter, pipeline)).matchedCount;
    });
    // Of a repetition the first try may have done it.
    return matched === 1 || tries > 1 ? webhook : 'lost';
  } catch (error) {
    const isTooLarge = error instanceof Text2ImgError && error.code === 'invalid_document';
    if (webhook === undefined || !isTooLarge) throw error;
    // Its end is more than the news of it.
    return writeEnding(prompts, filter, { failure, webhook: undefined });
  }
}

/** What is not ours under the name `job` stays as it is; a webhook lies there, so it is kept beside that. */
function endPipeline({ failure, webhook }: Ending): PromptUpdate {
  const jobOrBeside: Expression = { $cond: [JOB_IS_OURS, '$job', { replaced: '$job' }] };
  return [
    ...failPipeline(failure),
    ...(webhook === undefined ? [] : [{ $set: { job: jobOrBeside } }, { $set: oweWebhook(webhook) }]),
  ];
}
