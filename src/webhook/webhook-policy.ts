/** Decides the webhook of a finished job. The worker makes it at the completion, and it is frozen from then on. */
import { createHash } from 'node:crypto';
import { cut } from '../lib/foreign-text.ts';
import { omitUndefined } from '../lib/omit-undefined.ts';
import type { OwedWebhook } from '../queue/webhook-outbox.ts';
import { checkDocumentUrl, type UrlGuard } from './url-guard.ts';

export interface FinishedPrompt {
  readonly promptId: string;
  readonly docKey: string;
  readonly runId: string;
  readonly prompt: string;
  /** The document's own. */
  readonly callbackUrl: string | undefined;
}

export type CallbackEvent = 'completed' | 'error';

export interface WebhookPolicyOptions {
  /** The operator has a URL for documents without their own. */
  readonly hasOperatorUrl: boolean;
  readonly events: ReadonlySet<CallbackEvent>;
  readonly guard: UrlGuard;
  /** The URL that the receiver gets instead of `gs://…`: a public or a signed one. */
  readonly publicUrl: (storedUrl: string) => Promise<string>;
}

/** The body repeats the prompt for each image, and is kept in the document, which has a limit. */
const MAX_ECHO_LENGTH = 65_536;

export class WebhookPolicy {
  readonly #options: WebhookPolicyOptions;

  constructor(options: WebhookPolicyOptions) {
    this.#options = options;
  }

  /** Before anything is generated. @throws `invalid_parameter` */
  check(callbackUrl: string | undefined): void {
    if (callbackUrl !== undefined) checkDocumentUrl(callbackUrl, this.#options.guard);
  }

  /** One result per image, in order. */
  async forCompletion(prompt: FinishedPrompt, storedUrls: readonly string[]): Promise<OwedWebhook | undefined> {
    if (!this.#isWanted('completed', prompt)) return undefined;
    const urls = await Promise.all(storedUrls.map(this.#options.publicUrl));
    const echo = cut(prompt.prompt, MAX_ECHO_LENGTH);
    const results = urls.map((url) => ({ prompt_id: prompt.promptId, prompt: echo, image_url: url }));
    return owed(prompt, { results });
  }

  /** `error` as it stands in the document. No webhook is recorded for a URL that is refused: that may be the very failure. */
  forFailure(prompt: FinishedPrompt, error: string): OwedWebhook | undefined {
    if (!this.#isWanted('error', prompt) || !this.#isAccepted(prompt)) return undefined;
    const echo = cut(prompt.prompt, MAX_ECHO_LENGTH);
    return owed(prompt, { results: [], errors: [{ prompt_id: prompt.promptId, prompt: echo, error }] });
  }

  #isAccepted({ callbackUrl }: FinishedPrompt): boolean {
    try {
      this.check(callbackUrl);
      return true;
    } catch {
      return false;
    }
  }

  #isWanted(event: CallbackEvent, { callbackUrl }: FinishedPrompt): boolean {
    return this.#options.events.has(event) && (callbackUrl !== undefined || this.#options.hasOperatorUrl);
  }
}

function owed({ docKey, runId, callbackUrl }: FinishedPrompt, body: object): OwedWebhook {
  // One run ends once, so that document and run name the message.
  const hash = createHash('sha256').update(docKey).update('\0').update(runId).digest('base64url');
  return { id: `msg_${hash}`, body: JSON.stringify(body), ...omitUndefined({ url: callbackUrl }) };
}
