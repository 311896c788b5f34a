/**
 * The story of a batch: claimed → resolved → drawn → encoded → stored → completed. A document that fails on the way ends alone; its neighbours
 * go on. Publishing is returned as a promise, so that the next batch is drawn meanwhile.
 */
import type { EngineJobResult } from '../engine/engine-host.ts';
import { Text2ImgError } from '../errors/text2img-error.ts';
import { encodePng } from '../image/encode-png.ts';
import type { ResolvedGenerationRequest } from '../job/generation-request.ts';
import { usedParameters } from '../job/prompt-document.ts';
import { objectKey } from '../storage/object-key.ts';
import type { ClaimedJob } from './claimed-job.ts';
import type { WorkerOptions } from './worker-options.ts';

interface ResolvedJob {
  readonly job: ClaimedJob;
  readonly request: ResolvedGenerationRequest;
}

/** Resolves when everything is drawn; what it resolves to settles when everything is published. */
export async function runBatch(
  jobs: readonly ClaimedJob[],
  options: WorkerOptions,
): Promise<{ readonly published: Promise<void> }> {
  const publishing: Promise<void>[] = [];
  for (const group of groupsOf(await prepare(jobs, options))) publishing.push(...(await draw(group, options)));
  return { published: Promise.all(publishing).then(() => undefined) };
}

/** Ends the documents that ask for what cannot be, and those whose pictures a dead attempt has stored already. */
async function prepare(jobs: readonly ClaimedJob[], options: WorkerOptions): Promise<ResolvedJob[]> {
  const resolved: ResolvedJob[] = [];
  for (const job of jobs) {
    try {
      const request = job.resolve();
      const stored = job.claim.attempt > 1 ? await findStored(job, request, options) : undefined;
      if (stored === undefined) resolved.push({ job, request });
      else await finish(job, () => job.complete(record(request, stored, [])));
    } catch (error) {
      await finish(job, () => job.end(error));
    }
  }
  return resolved;
}

/** The URLs of all pictures of this run, when an attempt before this one stored them and died before it could say so. */
async function findStored(
  { claim }: ClaimedJob,
  request: ResolvedGenerationRequest,
  { store }: WorkerOptions,
): Promise<string[] | undefined> {
  const urls: string[] = [];
  for (let imageIndex = 0; imageIndex < request.numImages; imageIndex++) {
    const found = await store.find(objectKey(claim.id, { imageIndex }));
    if (found?.metadata?.runId !== claim.runId || found.metadata.docKey !== claim.docKey) return undefined;
    urls.push(found.url);
  }
  return urls;
}

/** A document whose last attempt died without a verdict is drawn alone: it may be what killed the engine. */
function groupsOf(jobs: readonly ResolvedJob[]): readonly (readonly ResolvedJob[])[] {
  const alone = jobs.filter(({ job }) => job.claim.previousAttemptDied).map((resolved) => [resolved]);
  const together = jobs.filter(({ job }) => !job.claim.previousAttemptDied);
  return together.length === 0 ? alone : [together, ...alone];
}

/** Resolves when all are drawn or have failed; the promises are of their publishing. */
async function draw(group: readonly ResolvedJob[], options: WorkerOptions): Promise<Promise<void>[]> {
  const byJobId = new Map(group.map(({ job }) => [job.jobId, job]));
  const results = options.engine.generate(
    group.map(({ job, request }) => ({ jobId: job.jobId, request })),
    { onProgress: (jobId, { step, steps }) => byJobId.get(jobId)?.progress(step, steps) },
  );
  return Promise.all(
    group.map(async ({ job, request }) => {
      const drawn = await (results.get(job.jobId) as Promise<EngineJobResult>).then(
        (result) => ({ result }),
        (error: unknown) => ({ error }),
      );
      // Not awaited: an array of it keeps the promise from being unwrapped.
      return [
        finish(job, () => ('error' in drawn ? job.end(drawn.error) : publish({ job, request }, drawn.result, options))),
      ] as const;
    }),
  ).then((boxes) => boxes.map(([published]) => published));
}

/** Encodes and stores every picture, then completes the document: in this order, so that a completed document's pictures are there. */
async function publish(
  { job, request }: ResolvedJob,
  { images, warnings }: EngineJobResult,
  options: WorkerOptions,
): Promise<void> {
  const urls: string[] = [];
  for (const image of images) {
    const parameters = {
      ...request,
      seed: image.seed,
      modelName: options.engine.model.modelName,
      modelHash: options.engine.model.modelHash,
    };
    const png = await encodePng({ ...image, parameters });
    if (!job.heartbeat.isSafe && !(await job.heartbeat.renew())) return job.lose();
    const { claim } = job;
    const { outcome, url } = await options.store.put(
      {
        name: objectKey(claim.id, { imageIndex: image.imageIndex }),
        png,
        metadata: { runId: claim.runId, docKey: claim.docKey, seed: image.seed, model: options.engine.model.modelName },
      },
      { mayReplace: () => job.heartbeat.renew() },
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

function record(
  request: ResolvedGenerationRequest,
  imageUrls: readonly string[],
  warnings: readonly string[],
): Parameters<ClaimedJob['complete']>[0] {
  return { imageUrls, seed: request.seed, parameters: usedParameters(request), warnings };
}

/** Runs a job's last act; when even that fails the lease ends by itself and another attempt is made. */
async function finish(job: ClaimedJob, act: () => Promise<void>): Promise<void> {
  using _ = job.heartbeat;
  try {
    await act();
  } catch (error) {
    await job.end(error).catch(() => job.lose());
  }
}
