/**
 * The story of a batch: claimed → resolved → drawn → encoded → stored → completed. A document that fails on the way ends alone; its neighbours
 * go on. Publishing is returned as promises, so that the next batch is drawn meanwhile.
 */
import type { EngineJobResult } from '../engine/engine-host.ts';
import { Text2ImgError } from '../errors/text2img-error.ts';
import { encodePng } from '../image/encode-png.ts';
import type { ResolvedGenerationRequest } from '../job/generation-request.ts';
import { usedParameters } from '../job/prompt-document.ts';
import { objectKey } from '../storage/object-key.ts';
import type { BatchBudget } from './batch-budget.ts';
import type { ClaimedJob } from './claimed-job.ts';
import type { WorkerOptions } from './worker-options.ts';

export interface PreparedJob {
  readonly job: ClaimedJob;
  readonly request: ResolvedGenerationRequest;
}

/** What the batches of one worker share. */
export interface BatchContext {
  readonly options: WorkerOptions;
  readonly budget: BatchBudget;
  /** Aborted when the grace period is over: what is not stored by then is given back. */
  readonly publishingSignal: AbortSignal;
}

/** Ends the documents that ask for what cannot be, and those whose pictures a dead attempt has stored already; the others can be drawn. */
export async function prepareJobs(jobs: readonly ClaimedJob[], { options }: BatchContext): Promise<PreparedJob[]> {
  const prepared = await Promise.all(
    jobs.map(async (job) => {
      try {
        const request = job.resolve();
        const stored = job.claim.attempt > 1 ? await findStored(job, request, options) : undefined;
        if (stored === undefined) return { job, request };
        await finish(job, () => job.complete(record(request, stored, [])));
      } catch (error) {
        await finish(job, () => job.end(error));
      }
      return undefined;
    }),
  );
  return prepared.filter((one) => one !== undefined);
}

/** The URLs of all pictures of this run, when an attempt before this one stored them and died before it could say so. */
async function findStored(
  { claim }: ClaimedJob,
  request: ResolvedGenerationRequest,
  { store, objectPrefix }: WorkerOptions,
): Promise<string[] | undefined> {
  const urls: string[] = [];
  for (let imageIndex = 0; imageIndex < request.numImages; imageIndex++) {
    const found = await store.find(objectKey(claim.id, { prefix: objectPrefix, imageIndex }));
    if (found?.metadata?.runId !== claim.runId || found.metadata.docKey !== claim.docKey) return undefined;
    urls.push(found.url);
  }
  return urls;
}

/** Resolves when all are drawn or have failed; each promise that it gives is of one document's publishing, and never rejects. */
export async function drawJobs(jobs: readonly PreparedJob[], context: BatchContext): Promise<readonly Promise<void>[]> {
  const publishing: Promise<void>[] = [];
  for (const group of groupsOf(jobs)) publishing.push(...(await drawGroup(group, context)));
  return publishing;
}

/** A document whose last attempt died without a verdict is drawn alone: it may be what killed the engine. */
function groupsOf(jobs: readonly PreparedJob[]): readonly (readonly PreparedJob[])[] {
  const alone = jobs.filter(({ job }) => job.claim.previousAttemptDied).map((prepared) => [prepared]);
  const together = jobs.filter(({ job }) => !job.claim.previousAttemptDied);
  return together.length === 0 ? alone : [together, ...alone];
}

/** What ran out of memory in a shared pass is drawn again in passes of half the size, within the same attempt. */
async function drawGroup(group: readonly PreparedJob[], context: BatchContext): Promise<Promise<void>[]> {
  const { options, budget } = context;
  const pixels = Math.max(...group.map(({ request }) => request.widthPx * request.heightPx));
  const images = group.reduce((sum, { request }) => sum + request.numImages, 0);
  const byJobId = new Map(group.map(({ job }) => [job.jobId, job]));
  const results = options.engine.generate(
    group.map(({ job, request }) => ({ jobId: job.jobId, request })),
    {
      onProgress: (jobId, { step, steps }) => byJobId.get(jobId)?.progress(step, steps),
      maxBatchImages: budget.imagesPerPass(pixels),
    },
  );
  const outOfMemory: { readonly prepared: PreparedJob; readonly error: unknown }[] = [];
  const publishing: Promise<void>[] = [];
  await Promise.all(
    group.map(async (prepared) => {
      const { job } = prepared;
      try {
        const result = await (results.get(job.jobId) as Promise<EngineJobResult>);
        job.isDrawn = true;
        publishing.push(finish(job, () => publish(prepared, result, context)));
      } catch (error) {
        if (Text2ImgError.from(error).code === 'engine_out_of_memory') outOfMemory.push({ prepared, error });
        else {
          job.isDrawn = true;
          publishing.push(finish(job, () => job.end(error)));
        }
      }
    }),
  );
  if (outOfMemory.length === 0) return publishing;
  if (!budget.halve({ pixels, images }))
    return [...publishing, ...outOfMemory.map(({ prepared: { job }, error }) => finish(job, () => job.end(error)))];
  const again = outOfMemory.map(({ prepared }) => prepared);
  return [...publishing, ...(await drawGroup(again, context))];
}

/** Encodes and stores every picture, then completes the document: in this order, so that a completed document's pictures are there. */
async function publish(
  { job, request }: PreparedJob,
  { images, warnings }: EngineJobResult,
  { options, publishingSignal }: BatchContext,
): Promise<void> {
  const { model } = options.engine;
  const urls: string[] = [];
  for (const image of images) {
    const { modelName, modelHash } = model;
    // The size as drawn: some models cannot draw the one that was asked for.
    const { seed, widthPx, heightPx } = image;
    const parameters = { ...request, seed, widthPx, heightPx, modelName, modelHash };
    const png = await encodePng({ ...image, parameters });
    if (!job.heartbeat.isSafe && !(await job.heartbeat.renew())) return job.lose();
    const { claim } = job;
    const { outcome, url } = await storeOrGiveBack(job, publishingSignal, (signal) =>
      options.store.put(
        {
          name: objectKey(claim.id, { prefix: options.objectPrefix, imageIndex: image.imageIndex }),
          png,
          metadata: { runId: claim.runId, docKey: claim.docKey, seed: image.seed, model: model.modelName },
        },
        { mayReplace: () => job.heartbeat.renew(), signal },
      ),
    );
    if (outcome === 'superseded') return job.lose();
    if (outcome === 'foreign')
      throw new Text2ImgError('foreign_object', `an object of another document lies at ${url}; it was left as it is.`);
    urls.push(url);
  }
  for (const warning of warnings)
    options.logger.warning('a prompt was drawn with a warning', { prompt_id: job.id, warning });
  await job.complete(record(request, urls, warnings));
}

/** What the end of the grace period interrupts is given back: it is no fault of the document, whenever it was claimed. */
async function storeOrGiveBack<T>(
  job: ClaimedJob,
  publishingSignal: AbortSignal,
  store: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  try {
    return await store(AbortSignal.any([publishingSignal, job.lostSignal]));
  } catch (error) {
    if (publishingSignal.aborted) job.givesBack = true;
    throw error;
  }
}

function record(
  request: ResolvedGenerationRequest,
  imageUrls: readonly string[],
  warnings: readonly string[],
): Parameters<ClaimedJob['complete']>[0] {
  return { imageUrls, seed: request.seed, parameters: usedParameters(request), warnings };
}

/** Runs a job's last act; when even that fails the lease ends by itself and another attempt is made. */
export async function finish(job: ClaimedJob, act: () => Promise<void>): Promise<void> {
  using _ = job;
  try {
    await act();
  } catch (error) {
    await job.end(error).catch(() => job.lose());
  }
}
