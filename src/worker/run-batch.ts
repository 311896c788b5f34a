/**
 * The story of a batch: claimed → resolved → drawn → encoded → stored → completed. A document that fails on the way ends alone; its neighbours
 * go on. Publishing is returned as promises, so that the next batch is drawn meanwhile. What follows a failure is decided in `failures.ts`.
 */

import type { BatchBudget } from '../engine/batch-budget.ts';
import type { JobResult } from '../engine/engine-job.ts';
import { Text2ImgError } from '../errors/text2img-error.ts';
import { encodePng } from '../image/encode-png.ts';
import type { ResolvedGenerationRequest } from '../job/generation-request.ts';
import { usedParameters } from '../job/prompt-document.ts';
import type { CompletionRecord } from '../queue/prompt-queue.ts';
import type { ClaimedJob } from './claimed-job.ts';
import type { FailedDrawing, Failures } from './failures.ts';
import { type PlaceOptions, storeImages, surveyPlaces } from './image-places.ts';
import type { DrawnImages } from './kept-images.ts';
import type { Trouble } from './trouble.ts';
import type { WorkerOptions } from './worker-contract.ts';

/** In a sentence. */
const MAX_NAMED = 5;

export interface PreparedJob {
  readonly job: ClaimedJob;
  readonly request: ResolvedGenerationRequest;
  /** Drawn by an attempt before this one, whose images could not be stored. */
  readonly drawn: DrawnImages | undefined;
  /** URLs of an earlier run's images that stay beside this one's. */
  readonly surplus: readonly string[];
}

/** What the batches of one worker share. */
export interface BatchContext {
  readonly options: WorkerOptions;
  readonly budget: BatchBudget;
  readonly failures: Failures;
  readonly trouble: Trouble;
  /** Aborted when the grace period is over: what is not stored by then is given back. */
  readonly publishingSignal: AbortSignal;
}

/** Ends the documents that ask for what cannot be, and those whose pictures a dead attempt has stored already; the others can be drawn. */
export async function prepareJobs(jobs: readonly ClaimedJob[], context: BatchContext): Promise<PreparedJob[]> {
  const prepared = await Promise.all(jobs.map((job) => prepareJob(job, context)));
  return prepared.filter((one) => one !== undefined);
}

async function prepareJob(job: ClaimedJob, context: BatchContext): Promise<PreparedJob | undefined> {
  let request: ResolvedGenerationRequest;
  try {
    request = job.resolve();
  } catch (error) {
    await finish(job, context, () => job.end(error));
    return undefined;
  }
  try {
    const survey = await surveyPlaces(job, request.numImages, placesOf(job, context));
    if (survey === undefined) await finish(job, context, async () => job.lose());
    else {
      const { stored, surplus } = survey;
      const prepared = { job, request, surplus };
      if (stored === undefined) return { ...prepared, drawn: context.failures.kept.take(job.claim.runId, request) };
      await finish(job, context, () => complete(prepared, { urls: stored, warnings: [] }, context));
    }
  } catch (error) {
    await finish(job, context, () => context.failures.ofStore(job, error));
  }
  return undefined;
}

/** Resolves when all are drawn or have failed; each promise that it gives is of one document's publishing, and never rejects. */
export async function drawJobs(jobs: readonly PreparedJob[], context: BatchContext): Promise<readonly Promise<void>[]> {
  const publishing: Promise<void>[] = [];
  for (const prepared of jobs) {
    const { drawn, job } = prepared;
    if (drawn === undefined) continue;
    job.isDrawn = true;
    publishing.push(finish(job, context, () => publish(prepared, drawn, context)));
  }
  for (const group of groupsOf(jobs.filter(({ drawn }) => drawn === undefined))) {
    if (context.trouble.isRefused) publishing.push(...giveBack(group, context));
    else publishing.push(...(await drawGroup(group, context)));
  }
  return publishing;
}

/** Nobody will draw them here now. */
export function giveBack(jobs: readonly PreparedJob[], context: BatchContext): Promise<void>[] {
  return jobs.map(({ job, request, drawn }) => {
    if (drawn !== undefined) context.failures.kept.keep(job.claim.runId, request, drawn);
    return finish(job, context, () => job.release());
  });
}

/** A document whose last attempt died without a verdict is drawn alone: it may be what killed the engine. */
function groupsOf(jobs: readonly PreparedJob[]): readonly (readonly PreparedJob[])[] {
  const alone = jobs.filter(({ job }) => job.claim.previousAttemptDied).map((prepared) => [prepared]);
  const together = jobs.filter(({ job }) => !job.claim.previousAttemptDied);
  return together.length === 0 ? alone : [together, ...alone];
}

/** What ran out of memory in a shared pass is drawn again in passes of half the size, within the same attempt. */
async function drawGroup(group: readonly PreparedJob[], context: BatchContext): Promise<Promise<void>[]> {
  const { options, budget, failures } = context;
  const pixels = Math.max(...group.map(({ request }) => request.widthPx * request.heightPx));
  const images = group.reduce((sum, { request }) => sum + request.numImages, 0);
  const byJobId = new Map(group.map(({ job }) => [job.jobId, job]));
  const results = options.engine.generate(
    group.map(({ job, request }) => ({ jobId: job.jobId, request, images: [] })),
    {
      onProgress: (jobId, { step, steps }) => byJobId.get(jobId)?.progress(step, steps),
      maxBatchImages: budget.imagesPerPass(pixels),
    },
  );
  const failed: (FailedDrawing & { readonly prepared: PreparedJob })[] = [];
  const publishing: Promise<void>[] = [];
  await Promise.all(
    group.map(async (prepared, index) => {
      const { job } = prepared;
      try {
        const result = await (results[index] as Promise<JobResult>);
        job.isDrawn = true;
        failures.jobDrawn();
        publishing.push(finish(job, context, () => encodeAndPublish(prepared, result, context)));
      } catch (raw) {
        const error = Text2ImgError.from(raw);
        if (error.consequence !== 'fail') return void failed.push({ prepared, job, error });
        job.isDrawn = true;
        publishing.push(finish(job, context, () => job.end(error)));
      }
    }),
  );
  const outOfMemory = failed.filter(({ job, error }) => error.code === 'engine_out_of_memory' && !job.givesBack);
  const again = outOfMemory.length > 0 && budget.halve({ pixels, images }) ? outOfMemory : [];
  await failures.ofEngine(failed.filter((one) => !again.includes(one)));
  if (again.length === 0) return publishing;
  const halved = again.map(({ prepared }) => prepared);
  return [...publishing, ...(await drawGroup(halved, context))];
}

/** Where the file name, the seed and the pixels become a PNG; off the main thread. */
async function encodeAndPublish(
  prepared: PreparedJob,
  { images, warnings }: JobResult,
  context: BatchContext,
): Promise<void> {
  const { job, request } = prepared;
  const { model } = context.options.engine;
  const encoded: DrawnImages['images'][number][] = [];
  try {
    for (const image of images) {
      const { modelName, modelHash } = model;
      // The size as drawn: some models cannot draw the one that was asked for.
      const { imageIndex, seed } = image;
      const { widthPx, heightPx, pixels: rgb } = image.image;
      const parameters = { ...request, seed, widthPx, heightPx, modelName, modelHash };
      encoded.push({ imageIndex, seed, png: await encodePng({ rgb, widthPx, heightPx, parameters }) });
    }
  } catch (error) {
    return void (await job.end(error));
  }
  for (const warning of warnings)
    context.options.logger.warning('a prompt was drawn with a warning', { prompt_id: job.id, warning });
  await publish(prepared, { images: encoded, warnings }, context);
}

/** Stores every picture, then completes the document: in this order, so that a completed document's pictures are there. */
async function publish(prepared: PreparedJob, drawn: DrawnImages, context: BatchContext): Promise<void> {
  const { job, request } = prepared;
  // The store refuses just now: its probes find out when it is well, not each image that is done.
  if (context.trouble.source === 'store') return context.failures.keepAndRelease(job, { request, images: drawn });
  const model = context.options.engine.model.modelName;
  let urls: readonly string[] | undefined;
  try {
    urls = await storeImages(job, drawn.images, { ...placesOf(job, context), model });
  } catch (error) {
    return context.failures.ofStore(job, error, { request, images: drawn });
  }
  if (urls === undefined) return job.lose();
  await complete(prepared, { urls, warnings: drawn.warnings }, context);
}

/** The end of the grace period and the loss of the document end every request to the store. */
function placesOf(job: ClaimedJob, { options, publishingSignal }: BatchContext): PlaceOptions {
  return { store: options.store, signal: AbortSignal.any([publishingSignal, job.lostSignal]) };
}

interface Stored {
  readonly urls: readonly string[];
  readonly warnings: readonly string[];
}

/** Making public URLs is the store's part, too. */
async function complete(
  { job, request, surplus }: Pick<PreparedJob, 'job' | 'request' | 'surplus'>,
  { urls, warnings }: Stored,
  { failures, options }: BatchContext,
): Promise<void> {
  let webhook: Awaited<ReturnType<ClaimedJob['webhookFor']>>;
  try {
    webhook = await job.webhookFor(urls);
  } catch (error) {
    return failures.ofStore(job, error);
  }
  const left = surplusWarning(surplus);
  if (left !== undefined) options.logger.warning('images of an earlier run stay', { prompt_id: job.id, warning: left });
  const record: CompletionRecord = {
    imageUrls: urls,
    seed: request.seed,
    parameters: usedParameters(request, options.engine.model),
    warnings: left === undefined ? warnings : [...warnings, left],
  };
  await job.complete(record, webhook);
}

/** Receivers may have their URLs, so they are not removed. */
function surplusWarning(urls: readonly string[]): string | undefined {
  if (urls.length === 0) return undefined;
  const more = urls.length > MAX_NAMED ? ` and ${urls.length - MAX_NAMED} more` : '';
  return `this run has fewer images than an earlier one, whose others stay: ${urls.slice(0, MAX_NAMED).join(', ')}${more}`;
}

/** Runs a job's last act; when even that fails the lease ends by itself and another attempt is made. Never rejects. */
async function finish(job: ClaimedJob, { failures }: BatchContext, act: () => Promise<unknown>): Promise<void> {
  using _ = job;
  try {
    await act();
  } catch (error) {
    await failures.ofEnding(job, error);
  }
}
