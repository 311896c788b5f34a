/**
 * Ends prompts that no worker ever gets: every attempt crashed, the `job` is not ours, or the `_id` names nothing. The write that ends one also adds
 * its pending webhook.
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
  // Without `endings` nobody receives the prompt, so we need not read it.
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

/** @returns the webhook that is pending now */
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
    // When the statement is repeated, the first attempt may have done it.
    return matched === 1 || tries > 1 ? webhook : 'lost';
  } catch (error) {
    const isTooLarge = error instanceof Text2ImgError && error.code === 'invalid_document';
    if (webhook === undefined || !isTooLarge) throw error;
    // It is more important that the prompt ends than that its webhook is sent.
    return writeEnding(prompts, filter, { failure, webhook: undefined });
  }
}

/** A foreign value under the name `job` must be kept. The webhook needs a sub-document there, so the old value moves to `job.replaced`. */
function endPipeline({ failure, webhook }: Ending): PromptUpdate {
  const jobOrBeside: Expression = { $cond: [JOB_IS_OURS, '$job', { replaced: '$job' }] };
  return [
    ...failPipeline(failure),
    ...(webhook === undefined ? [] : [{ $set: { job: jobOrBeside } }, { $set: oweWebhook(webhook) }]),
  ];
}
