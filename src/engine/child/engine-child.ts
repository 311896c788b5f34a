/**
 * The engine child: owns the model, answers the protocol, draws one message's jobs after the other's. It is forked by `engine-process.ts`
 * and ends with its parent.
 */

import { ERROR_CODES, EXIT_CODE_OF_FAULT } from '../../errors/error-codes.ts';
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { boundedSentences } from '../../lib/foreign-text.ts';
import { type JobObserver, runJobs } from '../../pipelines/run-jobs.ts';
import { type LoadedModel, loadModel } from './load-model.ts';
import { type ChildMessage, type ParentMessage, PROTOCOL_VERSION, parentMessageSchema } from '../protocol.ts';
import { WatchedJobs } from '../watched-jobs.ts';

/** Jobs that were asked for and have not ended. Aborting cancels the job. */
const known = new Map<string, AbortController>();
const watched = new WatchedJobs();
let model: LoadedModel | undefined;
/** Or being hashed. */
let isHashed = false;
/** Messages are worked off in order; `cancel` and `shutdown` do not wait in line. */
let work: Promise<void> = Promise.resolve();

/** Resolved when the last message, and so each one before it, has left this process. */
let lastSent: Promise<void> = Promise.resolve();

function send(message: ChildMessage): void {
  if (!process.connected) return;
  // A message that cannot be sent has nobody to read it.
  lastSent = new Promise((resolve) => process.send?.(message, undefined, {}, () => resolve()));
}

/** Two turns: one for a message to be read, one for it to be handed out. */
async function yieldToEventLoop(): Promise<void> {
  for (let turn = 0; turn < 2; turn++) await new Promise((resolve) => setImmediate(resolve));
}

const observer: JobObserver = {
  onProgress: (jobId, progress) => send({ type: 'progress', jobId, ...progress }),
  onImage: (jobId, image) => {
    send({ type: 'image', jobId, ...image });
    hashOnce();
  },
  isPreviewDue: (jobId) => watched.isDue(jobId),
  onPreview: (jobId, image) => send({ type: 'preview', jobId, image }),
  onDone: (jobId, warnings, durationsMs) => {
    forget(jobId);
    send({ type: 'job-done', jobId, warnings: boundedSentences(warnings), durationsMs });
  },
  onFailed: (jobId, error) => {
    forget(jobId);
    send({ type: 'job-failed', jobId, error: error.toJSON() });
  },
};

/** After the first image, so that nobody waits longer for it. */
function hashOnce(): void {
  if (isHashed) return;
  isHashed = true;
  model?.hashLater?.((modelHash) => send({ type: 'model-hash', modelHash }));
}

function forget(jobId: string): void {
  known.delete(jobId);
  watched.forget(jobId);
}

async function load({ settings, protocolVersion }: Extract<ParentMessage, { type: 'load' }>): Promise<void> {
  if (protocolVersion !== PROTOCOL_VERSION) return end(EXIT_CODE_OF_FAULT[ERROR_CODES.internal.fault]);
  try {
    model = await loadModel(settings);
    send({ type: 'ready', facts: { ...model.facts, warnings: boundedSentences(model.facts.warnings) } });
  } catch (error) {
    send({ type: 'load-failed', error: Text2ImgError.from(error).toJSON() });
    await end(0);
  }
}

async function generate({
  jobs,
  maxBatchImages = Infinity,
}: Extract<ParentMessage, { type: 'generate' }>): Promise<void> {
  if (model === undefined) return;
  await runJobs(
    model.pipeline,
    jobs.map((job) => ({ ...job, signal: known.get(job.jobId)?.signal ?? AbortSignal.abort() })),
    {
      observer,
      maxBatchImages: Math.min(maxBatchImages, model.facts.maxBatchImages),
      yieldToEventLoop,
    },
  );
}

async function end(exitCode: number): Promise<void> {
  await model?.[Symbol.asyncDispose]();
  // A long message takes several turns, more when the parent is busy; closing the channel earlier would lose it.
  await lastSent;
  process.exitCode = exitCode;
  process.disconnect?.();
}

function receive(raw: unknown): void {
  const message = parentMessageSchema.parse(raw);
  switch (message.type) {
    case 'load':
      work = work.then(() => load(message));
      return;
    case 'generate':
      for (const { jobId } of message.jobs) known.set(jobId, new AbortController());
      work = work.then(() => generate(message));
      return;
    case 'watch':
      if (known.has(message.jobId)) watched.watch(message.jobId, message.on);
      return;
    case 'cancel':
      known.get(message.jobId)?.abort();
      return;
    case 'shutdown':
      // What is being drawn is not waited for: whoever wanted it would have waited before.
      for (const controller of known.values()) controller.abort();
      work = work.then(() => end(0));
      return;
  }
}

process.on('message', receive);
// The parent is gone: nobody wants the results.
process.on('disconnect', () => process.exit(process.exitCode ?? 0));
// The parent decides what a signal to the whole group means.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const) process.on(signal, () => undefined);
send({ type: 'hello', protocolVersion: PROTOCOL_VERSION, pid: process.pid });
