/** One claimed document on its way through the worker: its claim, its lease, and its one ending. */
import { randomBytes } from 'node:crypto';
import { Text2ImgError } from '../errors/text2img-error.ts';
import { promptIdText } from '../job/document-id.ts';
import type { ResolvedGenerationRequest } from '../job/generation-request.ts';
import type { ModelFacts } from '../job/model-facts.ts';
import type { RawImage } from '../job/raw-image.ts';
import { parsePromptDocument } from '../job/prompt-document.ts';
import { resolveRequest, seedOfRun } from '../job/resolve-request.ts';
import type { ClaimedPrompt, CompletionRecord, FailureRecord, TransitionOutcome } from '../queue/prompt-queue.ts';
import type { WatchMark } from '../queue/side-data.ts';
import type { OwedWebhook } from '../queue/webhook-outbox.ts';
import type { FinishedPrompt } from '../webhook/webhook-policy.ts';
import { omitUndefined } from '../lib/omit-undefined.ts';
import { errorFields } from '../observability/error-fields.ts';
import { JobPreviews } from './job-previews.ts';
import { Lease } from './lease.ts';
import { ObjectNames } from './object-names.ts';
import { judge, levelOf } from './retry-policy.ts';
import { retryWrite } from './retry-write.ts';
import { StageTimes } from './stage-times.ts';
import type { WorkerEvent, WorkerOptions } from './worker-contract.ts';

export interface ClaimContext {
  /** Taken before the claim was asked for. */
  readonly claimedAtMs: number;
  readonly tell: (event: WorkerEvent) => void;
  /** @param leaving its last work, where there is some */
  readonly onEnd: (leaving?: Promise<void>) => void;
  /** Aborted: nothing is written any more. */
  readonly lastSignal: AbortSignal;
}

export class ClaimedJob implements Disposable {
  readonly claim: ClaimedPrompt;
  /** The `prompt_id`. */
  readonly id: string;
  /** New for every attempt, so that a late message of an earlier one is nobody's. */
  readonly jobId: string;
  readonly lease: Lease;
  readonly names: ObjectNames;
  readonly times = new StageTimes();
  readonly #options: WorkerOptions;
  readonly #context: ClaimContext;
  readonly #lost = new AbortController();
  /** The document's own, once it is known to be one. */
  #callbackUrl: string | undefined;
  #modelName: string | undefined;
  #wantsPreviews = false;
  /** Undefined: nobody has seen one. */
  #previews: JobPreviews | undefined;
  /** The engine that generates it, or did. */
  engine: string | undefined;
  /** The engine is done with it, well or badly. */
  isGenerated = false;
  /** It was cancelled because the worker stops, not because somebody wanted that: it is released. */
  mustRelease = false;
  /** Attempts before this one that turned out to be no fault of the document. */
  innocentAttempts = 0;

  constructor(claim: ClaimedPrompt, options: WorkerOptions, context: ClaimContext) {
    this.claim = claim;
    this.id = promptIdText(claim.id);
    this.jobId = claim.token;
    this.#options = options;
    this.#context = context;
    this.lease = new Lease({
      queue: options.queue,
      claim,
      leaseMs: options.leaseMs,
      renewMs: options.renewMs ?? options.leaseMs / 3,
      claimedAtMs: context.claimedAtMs,
      logger: options.logger,
      onLost: () => {
        this.#lost.abort();
        options.pool.cancel(this.jobId);
      },
    });
    this.names = new ObjectNames({
      claim,
      prefix: options.objectPrefix,
      record: (objectName) => this.#write('nameObject', () => options.queue.nameObject(claim, objectName)),
    });
    this.times.add('claim', performance.now() - context.claimedAtMs);
    this.#tell({ type: 'claimed', id: this.id, attempt: claim.attempt });
  }

  /** @returns the request of the document, with every value decided @throws the error of an invalid document */
  resolve(model: ModelFacts): ResolvedGenerationRequest {
    const { limits, defaults, webhooks } = this.#options;
    this.#modelName = model.modelName;
    const { request, callbackUrl } = parsePromptDocument(this.claim.document, limits);
    webhooks.check(callbackUrl);
    this.#callbackUrl = callbackUrl;
    return resolveRequest(request, { defaults, limits, model, seed: seedOfRun(this.claim.runId) });
  }

  progress(step: number, steps: number): void {
    this.lease.progress = { step, steps };
    this.#tell({ type: 'progress', id: this.id, step, steps });
  }

  /** Whether somebody watches it. Called each second, because an engine forgets it when a pass is repeated. */
  watch(mark: Pick<WatchMark, 'wantsPreviews'> | undefined): void {
    const hadPreviews = this.#wantsPreviews;
    this.lease.isWatched = mark !== undefined;
    this.#wantsPreviews = mark?.wantsPreviews === true;
    if (this.#wantsPreviews || hadPreviews) this.#options.pool.watch(this.jobId, this.#wantsPreviews);
  }

  /** Somebody looks at its previews. */
  get wantsPreviews(): boolean {
    return this.#wantsPreviews;
  }

  /** The image so far. */
  preview(image: RawImage): void {
    const { progress } = this.lease;
    if (this.lease.isLost || progress === undefined) return;
    const { queue, logger } = this.#options;
    const { id: promptId, jobId: token } = this;
    this.#previews ??= new JobPreviews({ promptId, token, previews: queue.sideData.previews, logger });
    this.#previews.show(image, progress);
  }

  /** Makes the webhook of the completion. @throws what making public URLs throws */
  webhookFor(imageUrls: readonly string[]): Promise<OwedWebhook | undefined> {
    return this.#options.webhooks.forCompletion(this.#finished(), imageUrls);
  }

  /** @throws what the queue throws, here as in every ending */
  async complete(record: CompletionRecord, webhook: OwedWebhook | undefined): Promise<void> {
    const { queue, logger, onWebhookOwed } = this.#options;
    const outcome = await this.times.measure('complete', () =>
      this.#write('complete', () => queue.complete(this.claim, record, webhook)),
    );
    if (outcome === 'lost') return this.lose();
    if (webhook !== undefined) onWebhookOwed?.();
    const { imageUrls, seed } = record;
    const { durationsMs } = this.times;
    logger.info('prompt completed', {
      prompt_id: this.id,
      images: imageUrls.length,
      seed,
      ...this.#loggedSize(record),
      model: this.#modelName,
      ...this.#loggedEngine,
      worker: this.#options.owner,
      duration_ms: Math.round(performance.now() - this.#context.claimedAtMs),
      durations_ms: this.times.logFields,
    });
    const { prompt } = this.#finished();
    this.#tell({ type: 'completed', id: this.id, prompt, model: this.#modelName, ...record, durationsMs });
  }

  /** Of several. */
  get #loggedEngine(): Readonly<Record<string, unknown>> {
    return this.#options.pool.size > 1 ? omitUndefined({ engine: this.engine }) : {};
  }

  #loggedSize({ parameters }: CompletionRecord): Readonly<Record<string, unknown>> {
    const { num_inference_steps: steps, width, height } = parameters;
    return { steps, size: `${String(width)}x${String(height)}` };
  }

  /**
   * The attempt failed and counts: the job fails for good or is retried later. Nothing is written if the worker has lost the lease.
   * @returns the token under which it waits for its next attempt
   */
  async end(raw: unknown): Promise<string | undefined> {
    const error = Text2ImgError.from(raw);
    if (this.lease.isLost) return this.lose();
    if (this.mustRelease && (error.fault !== 'request' || error.code === 'cancelled')) return this.release();
    const { logger, maxAttempts } = this.#options;
    const verdict = judge(error, { attempt: this.claim.attempt, maxAttempts });
    const { failure } = verdict;
    logger[levelOf(failure)]('prompt failed', {
      prompt_id: this.id,
      attempt: this.claim.attempt,
      verdict: verdict.kind,
      model: this.#modelName,
      ...this.#loggedEngine,
      worker: this.#options.owner,
      duration_ms: Math.round(performance.now() - this.#context.claimedAtMs),
      error: { ...errorFields(error), ...failure },
    });
    return verdict.kind === 'fail' ? this.#fail(failure) : this.#retryLater(failure, verdict.delayMs);
  }

  async #fail(failure: FailureRecord): Promise<undefined> {
    const { queue, webhooks, onWebhookOwed } = this.#options;
    const webhook = webhooks.forFailure(this.#finished(), `${failure.code}: ${failure.message}`);
    const outcome = await this.#write('fail', () => queue.fail(this.claim, failure, webhook));
    if (outcome === 'lost') return this.lose();
    if (webhook !== undefined) onWebhookOwed?.();
    this.#tell({ type: 'failed', id: this.id, ...failure });
  }

  async #retryLater(failure: FailureRecord, delayMs: number): Promise<string | undefined> {
    const { queue } = this.#options;
    const waitToken = randomBytes(16).toString('hex');
    const options = { delayMs, failure, waitToken };
    const outcome = await this.#write('retryLater', () => queue.retryLater(this.claim, options));
    if (outcome === 'lost') return this.lose();
    this.#tell({ type: 'retried', id: this.id, ...failure, delayMs });
    return waitToken;
  }

  /** The attempt does not count, nor do those before it that were no fault of the document. */
  async release(): Promise<undefined> {
    const { queue, logger } = this.#options;
    const options = { attempts: 1 + this.innocentAttempts };
    const outcome = await this.#write('release', () => queue.release(this.claim, options));
    if (outcome === 'lost') return this.lose();
    logger.info('prompt released', { prompt_id: this.id, worker: this.#options.owner });
    this.#tell({ type: 'released', id: this.id });
  }

  lose(): undefined {
    this.#options.logger.warning('prompt was taken over by another worker', { prompt_id: this.id });
    this.#tell({ type: 'lost', id: this.id });
  }

  /** Aborted when the document is known to be no longer ours. */
  get lostSignal(): AbortSignal {
    return this.#lost.signal;
  }

  /** Its way through the worker is over. */
  [Symbol.dispose](): void {
    this.lease[Symbol.dispose]();
    this.#context.onEnd(this.#previews?.end());
    this.#previews = undefined;
  }

  #tell(event: WorkerEvent): void {
    this.#context.tell(event);
  }

  #finished(): FinishedPrompt {
    const { claim, id } = this;
    const { text } = claim.document;
    const prompt = typeof text === 'string' ? text : '';
    return { promptId: id, docKey: claim.docKey, runId: claim.runId, prompt, callbackUrl: this.#callbackUrl };
  }

  #write(what: string, write: () => Promise<TransitionOutcome>): Promise<TransitionOutcome> {
    const { logger, leaseMs: patienceMs } = this.#options;
    const { lastSignal: signal } = this.#context;
    return retryWrite(write, { what, logger, mayGoOn: () => this.lease.isSafe, patienceMs, signal });
  }
}
