/** One batch on its slot: generates its images and hands them on to be published. A job that fails on the way ends alone; its neighbours go on. */
import type { JobResult } from '../engine/engine-job.ts';
import type { EngineSlot } from '../engine/pool.ts';
import { Text2ImgError } from '../errors/text2img-error.ts';
import { zip } from '../lib/zip.ts';
import type { FailedJob } from './failures.ts';
import { prepareJobs, releaseBatch } from './prepare-jobs.ts';
import { encodeAndPublish, publish } from './publish-job.ts';
import { type Batch, endJob, type PreparedJob, type WorkerContext } from './worker-context.ts';

/** Resolves when the engine has done its part, and what follows for the jobs that failed there is decided. */
export async function generateBatch(batch: Batch, slot: EngineSlot, context: WorkerContext): Promise<void> {
  using _ = slot;
  if (!(await slot.turn(context.ending)) || context.trouble.isRefused) return releaseBatch(batch, context);
  const beganMs = performance.now();
  const refusal = await context.alive.during(slot.load(batch.modelId));
  const loadMs = performance.now() - beganMs;
  if (refusal !== undefined) await context.failures.engineRefuses(slot.engine, refusal);
  if (refusal !== undefined || context.ending.aborted) return releaseBatch(batch, context);
  const left: PreparedJob[] = [];
  for (const prepared of await preparedJobs(batch, slot, context)) {
    const { job, kept } = prepared;
    // It was cancelled while its model was loaded.
    if (job.lease.isLost) publishGenerated(prepared, context, async () => job.lose());
    else if (kept === undefined) left.push(prepared);
    else publishGenerated(prepared, context, () => publish(prepared, kept, context));
    job.isGenerated = kept !== undefined || job.lease.isLost;
  }
  if (left.length === 0) return;
  for (const { job } of left) job.times.add('load', loadMs);
  context.work.begin();
  context.work.end(await generate(left, slot, context));
}

/** Those of a model that was loaded for the first time are prepared only now. */
async function preparedJobs(
  { jobs }: Batch,
  { loaded }: EngineSlot,
  context: WorkerContext,
): Promise<readonly PreparedJob[]> {
  if ('prepared' in jobs) return jobs.prepared;
  if (loaded?.facts !== undefined) return await prepareJobs(jobs.claimed, loaded.facts, context);
  for (const job of jobs.claimed) context.publish(endJob(job, context, () => job.release()));
  return [];
}

/** @returns how many images there are */
async function generate(batch: readonly PreparedJob[], slot: EngineSlot, context: WorkerContext): Promise<number> {
  const { failures, options } = context;
  for (const { job } of batch) job.engine = slot.engine;
  const byJobId = new Map(batch.map(({ job }) => [job.jobId, job]));
  const results: readonly Promise<JobResult>[] = slot.generate(
    batch.map(({ job, request }) => ({ jobId: job.jobId, request, images: [] })),
    {
      onProgress: (jobId, { step, steps }) => byJobId.get(jobId)?.progress(step, steps),
      onPreview: (jobId, image) => byJobId.get(jobId)?.preview(image),
    },
  );
  // The engine knows them from here on.
  for (const { job } of batch) if (job.wantsPreviews) options.pool.watch(job.jobId, true);
  const failed: FailedJob[] = [];
  let images = 0;
  await Promise.all(
    zip(batch, results).map(async ([prepared, generating]) => {
      const { job } = prepared;
      try {
        const result = await generating;
        failures.jobGenerated(slot.engine);
        images += result.images.length;
        // Its hash may have become known since the claim.
        const model = slot.loaded?.facts ?? prepared.model;
        publishGenerated(prepared, context, () => encodeAndPublish({ ...prepared, model }, result, context));
      } catch (raw) {
        const error = Text2ImgError.from(raw);
        if (error.consequence === 'fail') publishGenerated(prepared, context, () => job.end(error));
        else failed.push({ job, error });
      }
    }),
  );
  await failures.ofEngine(failed, slot);
  return images;
}

function publishGenerated({ job }: PreparedJob, context: WorkerContext, act: () => Promise<unknown>): void {
  job.isGenerated = true;
  context.publish(endJob(job, context, act));
}
