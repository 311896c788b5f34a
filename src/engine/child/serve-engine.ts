/** The engine child's half of the protocol: loads one model, generates one message's jobs after the other's, and ends with its parent. */
import { ERROR_CODES, EXIT_CODE_OF_FAULT } from '../../errors/error-codes.ts';
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { boundedSentences } from '../../lib/foreign-text.ts';
import type { Family } from '../../pipelines/family.ts';
import type { JobObserver } from '../../pipelines/active-job.ts';
import { runJobs } from '../../pipelines/run-jobs.ts';
import { type ChildMessage, type ParentMessage, PROTOCOL_VERSION, parentMessageSchema } from '../protocol.ts';
import { WatchedJobs } from '../watched-jobs.ts';
import { type LoadedModel, loadModel } from './load-model.ts';

/** @param families that the model may belong to */
export function serveEngine(families: readonly Family[]): void {
  const server = new EngineServer(families);
  process.on('message', (message) => server.receive(message));
  // The parent is gone: nobody wants the results.
  process.on('disconnect', () => process.exit(process.exitCode ?? 0));
  // The parent decides what a signal to the whole group means.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const) process.on(signal, () => undefined);
  server.sayHello();
}

class EngineServer {
  readonly #families: readonly Family[];
  /** Jobs that were asked for and have not ended. Aborting cancels the job. */
  readonly #jobs = new Map<string, AbortController>();
  readonly #watched = new WatchedJobs();
  #model: LoadedModel | undefined;
  /** Or being hashed. */
  #isHashed = false;
  /** Messages are worked off in order; `watch`, `cancel` and `shutdown` do not wait in line. */
  #work: Promise<void> = Promise.resolve();
  /** Resolved when the last message, and so each one before it, has left this process. */
  #lastSent: Promise<void> = Promise.resolve();

  constructor(families: readonly Family[]) {
    this.#families = families;
  }

  sayHello(): void {
    this.#send({ type: 'hello', protocolVersion: PROTOCOL_VERSION, pid: process.pid });
  }

  receive(raw: unknown): void {
    const message = parentMessageSchema.parse(raw);
    switch (message.type) {
      case 'load':
        this.#work = this.#work.then(() => this.#load(message));
        return;
      case 'generate':
        for (const { jobId } of message.jobs) this.#jobs.set(jobId, new AbortController());
        this.#work = this.#work.then(() => this.#generate(message));
        return;
      case 'watch':
        if (this.#jobs.has(message.jobId)) this.#watched.watch(message.jobId, message.on);
        return;
      case 'cancel':
        this.#jobs.get(message.jobId)?.abort();
        return;
      case 'shutdown':
        // Jobs under way are not waited for: a parent that wanted them would have waited before.
        for (const controller of this.#jobs.values()) controller.abort();
        this.#work = this.#work.then(() => this.#end(0));
        return;
    }
  }

  async #load({ settings, protocolVersion }: Extract<ParentMessage, { type: 'load' }>): Promise<void> {
    if (protocolVersion !== PROTOCOL_VERSION) return this.#end(EXIT_CODE_OF_FAULT[ERROR_CODES.internal.fault]);
    try {
      this.#model = await loadModel(settings, this.#families);
      const { facts } = this.#model;
      const { warnings, details = [] } = facts;
      this.#send({
        type: 'ready',
        facts: { ...facts, warnings: boundedSentences(warnings), details: boundedSentences(details) },
      });
    } catch (error) {
      this.#send({ type: 'load-failed', error: Text2ImgError.from(error).toJSON() });
      await this.#end(0);
    }
  }

  async #generate({ jobs, maxBatchImages = Infinity }: Extract<ParentMessage, { type: 'generate' }>): Promise<void> {
    const model = this.#model;
    if (model === undefined) return;
    await runJobs(
      model.pipeline,
      jobs.map((job) => ({ ...job, signal: this.#jobs.get(job.jobId)?.signal ?? AbortSignal.abort() })),
      {
        observer: this.#observer,
        maxBatchImages: Math.min(maxBatchImages, model.facts.maxBatchImages),
        yieldToEventLoop,
      },
    );
  }

  readonly #observer: JobObserver = {
    onProgress: (jobId, progress) => this.#send({ type: 'progress', jobId, ...progress }),
    onImage: (jobId, image) => {
      this.#send({ type: 'image', jobId, ...image });
      this.#hashOnce();
    },
    isPreviewDue: (jobId) => this.#watched.isDue(jobId),
    onPreview: (jobId, image) => {
      this.#watched.made(jobId);
      this.#send({ type: 'preview', jobId, image });
    },
    onDone: (jobId, warnings, durationsMs) => {
      this.#forget(jobId);
      this.#send({ type: 'job-done', jobId, warnings: boundedSentences(warnings), durationsMs });
    },
    onFailed: (jobId, error) => {
      this.#forget(jobId);
      this.#send({ type: 'job-failed', jobId, error: error.toJSON() });
    },
  };

  /** After the first image, so that nobody waits longer for it. */
  #hashOnce(): void {
    if (this.#isHashed) return;
    this.#isHashed = true;
    this.#model?.hashLater?.((modelHash) => this.#send({ type: 'model-hash', modelHash }));
  }

  #forget(jobId: string): void {
    this.#jobs.delete(jobId);
    this.#watched.forget(jobId);
  }

  async #end(exitCode: number): Promise<void> {
    await this.#model?.[Symbol.asyncDispose]();
    // A long message takes several turns, more when the parent is busy; closing the channel earlier would lose it.
    await this.#lastSent;
    process.exitCode = exitCode;
    process.disconnect?.();
  }

  #send(message: ChildMessage): void {
    if (!process.connected) return;
    // A message that cannot be sent has nobody to read it.
    this.#lastSent = new Promise((resolve) => process.send?.(message, undefined, {}, () => resolve()));
  }
}

/** Two turns: one for a message to be read, one for it to be handed out. */
async function yieldToEventLoop(): Promise<void> {
  for (let turn = 0; turn < 2; turn++) await new Promise((resolve) => setImmediate(resolve));
}
