/** Jobs that end without a worker get their webhook and count as failed, like every other. */
import { promptIdText } from '../job/document-id.ts';
import type { Endings, UnclaimedPrompt } from '../queue/prompt-queue.ts';
import type { FinishedPrompt } from '../webhook/webhook-policy.ts';
import { levelOf } from './retry-policy.ts';
import type { WorkerEvent, WorkerOptions } from './worker-contract.ts';

export function endingsOf(
  { webhooks, logger, onWebhookOwed, owner }: WorkerOptions,
  tell: (event: WorkerEvent) => void,
): Endings {
  return {
    webhookFor: (prompt) => {
      const { code, message } = prompt.failure;
      return webhooks.forFailure(finishedPrompt(prompt, webhooks), `${code}: ${message}`);
    },
    onEnded: (prompt, webhook) => {
      const id = promptIdText(prompt.id);
      const { failure: error } = prompt;
      logger[levelOf(error)]('prompt failed without an attempt', { prompt_id: id, worker: owner, error });
      if (webhook !== undefined) onWebhookOwed?.();
      tell({ type: 'failed', id, ...prompt.failure });
    },
  };
}

/** Its fields were never looked at: what is no text, and a URL that may not be called, count as absent. */
function finishedPrompt(
  { id, docKey, runId, document }: UnclaimedPrompt,
  webhooks: WorkerOptions['webhooks'],
): FinishedPrompt {
  const { text, callback_url: url } = document;
  const prompt = typeof text === 'string' ? text : '';
  let callbackUrl: string | undefined;
  try {
    if (typeof url === 'string') webhooks.check(url);
    callbackUrl = typeof url === 'string' ? url : undefined;
  } catch {
    // Refused; the operator's own is called instead.
  }
  return { promptId: promptIdText(id), docKey, runId, prompt, callbackUrl };
}
