/** One claimed document on its way through the worker: its claim, its heartbeat, and its one ending. */
import { Text2ImgError } from '../errors/text2img-error.ts';
import { promptIdText } from '../job/document-id.ts';
import type { ResolvedGenerationRequest } from '../job/generation-request.ts';
import { parsePromptDocument } from '../job/prompt-document.ts';
import { resolveRequest, seedOfRun } from '../job/resolve-request.ts';
import type { ClaimedPrompt, CompletionRecord, TransitionOutcome } from '../queue/prompt-queue.ts';
import { Heartbeat } from './heartbeat.ts';
import { persistently } from './persistence.ts';
import { judge } from './retry-policy.ts';
import type { WorkerEvent, WorkerOptions } from './worker-options.ts';

export class ClaimedJob {
  readonly claim: ClaimedPrompt;
  /** The `prompt_id`. */
  readonly id: string;
  /** New for every attempt, so that a late message of an earlier one is nobody's. */
  readonly jobId: string;
  readonly heartbeat: Heartbeat;
  readonly #options: WorkerOptions;
  readonly #tell: (event: WorkerEvent) => void;
  /** It was given up because the worker stops, not because somebody cancelled it. */
  givesBack = false;

  constructor(
    claim: ClaimedPrompt,
    options: WorkerOptions,
    context: { readonly claimedAtMs: number; readonly tell: (event: WorkerEvent) => void },
  ) {
    this.claim = claim;
    this.id = promptIdText(claim.id);
    this.jobId = claim.token;
    this.#options = options;
    this.#tell = context.tell;
    this.heartbeat = new Heartbeat({
      queue: options.queue,
      claim,
      leaseMs: options.leaseMs,
      beatMs: options.beatMs ?? options.leaseMs / 3,
      claimedAtMs: context.claimedAtMs,
      logger: options.logger,
      onLost: () => options.engine.cancel(this.jobId),
    });
    this.#tell({ type: 'claimed', id: this.id, attempt: claim.attempt });
  }

  /** What the document asks for, with every value decided. @throws what the document deserves */
  resolve(): ResolvedGenerationRequest {
    const { limits, defaults, engine } = this.#options;
    const { request } = parsePromptDocument(this.claim.document, limits);
    return resolveRequest(request, { defaults, limits, model: engine.model, seed: seedOfRun(this.claim.runId) });
  }

  progress(step: number, steps: number): void {
    this.heartbeat.progress = { step, steps };
    this.#tell({ type: 'progress', id: this.id, step, steps });
  }

  async complete(record: CompletionRecord): Promise<void> {
    const { queue, logger } = this.#options;
    const outcome = await this.#write('complete', () => queue.complete(this.claim, record));
    if (outcome === 'lost') return this.lose();
    logger.info('prompt completed', { prompt_id: this.id, images: record.imageUrls.length, seed: record.seed });
    this.#tell({ type: 'completed', id: this.id, imageUrls: record.imageUrls, seed: record.seed });
  }

  /** The attempt failed: a verdict, another attempt later, or nothing where the document is no longer ours. */
  async end(raw: unknown): Promise<void> {
    const error = Text2ImgError.from(raw);
    if (this.heartbeat.isLost) return this.lose();
    if (this.givesBack && (error.code === 'cancelled' || error.code === 'engine_unavailable')) return this.release();
    const { queue, logger, maxAttempts } = this.#options;
    const verdict = judge(error, { attempt: this.claim.attempt, maxAttempts });
    const { failure } = verdict;
    logger.error('prompt failed', {
      prompt_id: this.id,
      attempt: this.claim.attempt,
      ...failure,
      verdict: verdict.kind,
      stack: error.stack,
    });
    if (verdict.kind === 'fail') {
      const outcome = await this.#write('fail', () => queue.fail(this.claim, failure));
      if (outcome === 'lost') return this.lose();
      this.#tell({ type: 'failed', id: this.id, ...failure });
    } else {
      const { delayMs } = verdict;
      const outcome = await this.#write('retryLater', () => queue.retryLater(this.claim, { delayMs, failure }));
      if (outcome === 'lost') return this.lose();
      this.#tell({ type: 'retried', id: this.id, ...failure, delayMs });
    }
  }

  async release(): Promise<void> {
    const outcome = await this.#write('release', () => this.#options.queue.release(this.claim));
    if (outcome === 'lost') return this.lose();
    this.#options.logger.info('prompt given back', { prompt_id: this.id });
    this.#tell({ type: 'released', id: this.id });
  }

  lose(): void {
    this.#options.logger.warning('prompt is no longer ours', { prompt_id: this.id });
    this.#tell({ type: 'lost', id: this.id });
  }

  #write(what: string, write: () => Promise<TransitionOutcome>): Promise<TransitionOutcome> {
    const { logger } = this.#options;
    return persistently(write, { what, logger, mayGoOn: () => this.heartbeat.isSafe });
  }
}
