/** Ends a row that no worker was given: all its attempts crashed, or nobody can read it. The same transaction writes its webhook. */
import { promptFieldsOf } from '../../job/prompt-document.ts';
import { errorText, type FailureRecord } from '../failure-text.ts';
import { RUN_ID } from '../job-record.ts';
import type { Endings, UnclaimedPrompt } from '../prompt-queue.ts';
import { newRunId } from '../transitions.ts';
import type { OwedWebhook } from '../webhook-outbox.ts';
import { ENDED } from './expressions.ts';
import { oweWebhook } from './owe-webhook.ts';
import { documentOf, identityOf } from './rows.ts';
import type { Row, Statements } from './statements.ts';

/** The arguments of `onEnded`, which is called after the commit. */
export interface Ended {
  readonly prompt: UnclaimedPrompt;
  readonly webhook: OwedWebhook | undefined;
}

const END = `UPDATE prompts SET status = 'error', error = ?1, ${ENDED}, image_urls = NULL, token = NULL WHERE id = ?2`;

/** Inside a transaction that has read the row. */
export function endUnclaimed(
  statements: Statements,
  row: Row,
  {
    failure,
    endings,
    path,
  }: { readonly failure: FailureRecord; readonly endings: Endings | undefined; readonly path: string },
): Ended {
  const { id, docKey } = identityOf(path, row);
  const runId = String(row['run_id']);
  const prompt: UnclaimedPrompt = {
    id,
    docKey,
    runId: RUN_ID.test(runId) ? runId : newRunId(),
    document: promptFieldsOf(documentOf(row) ?? {}),
    failure,
  };
  const webhook = endings?.webhookFor(prompt);
  statements.run(END, errorText(failure), String(row['id']));
  oweWebhook(statements, String(row['id']), webhook);
  return { prompt, webhook };
}
