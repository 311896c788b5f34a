/** One batch on its slot: generates its images and hands them on to be published. A job that fails on the way ends alone; its neighbours go on. */
import type { JobResult } from '../engine/engine-job.ts';
import type { EngineSlot } from '../engine/pool.ts';
import { Text2ImgError } from '../errors/text2img-error.ts';
import { zip } from '../lib/zip.ts';
import type { FailedJob } from './failures.ts';
import { releaseJobs } from './prepare-jobs.ts';
import { encodeAndPublish, publish } from './publish-job.ts';
import { endJob, type PreparedJob, type WorkerContext } from './worker-context.ts';

/** Resolves when the engine has done its part, and what follows for the jobs that failed there is decided. */
export async function generateBatch(
  batch: readonly PreparedJob[],
  slot: EngineSlot,
  context: WorkerContext,
): Promise<void> {
  using _ = slot;
  const hasTurn = await slot.turn(context.ending);
  if (!hasTurn || context.trouble.isRefused) return releaseJobs(batch, context);
  const left: PreparedJob[] = [];
  for (const prepared of batch) {
    const { job, kept } = prepared;
    if (kept === undefined) left.push(prepared);
    else publishGenerated(prepared, context, () => publish(prepared, kept, context));
    job.isGenerated = kept !== undefined;
  }
  if (left.length > 0) await generate(left, slot, context);
}

async function generate(batch: readonly PreparedJob[], slot: EngineSlot, context: WorkerContext): Promise<void> {
  const { failures } = context;
  for (const { job } of batch) job.engine = slot.engine;
  const byJobId = new Map(batch.map(({ job }) => [job.jobId, job]));
  const results: readonly Promise<JobResult>[] = slot.generate(
    batch.map(({ job, request }) => ({ jobId: job.jobId, request, images: [] })),
    { onProgress: (jobId, { step, steps }) => byJobId.get(jobId)?.progress(step, steps) },
  );
  const failed: FailedJob[] = [];
  await Promise.all(
    zip(batch, results).map(async ([prepared, generating]) => {
      const { job } = prepared;
      try {
        const result = await generating;
        failures.jobGenerated(slot.engine);
        // Its hash may have become known since the claim.
        const [model] = slot.models;
        publishGenerated(prepared, context, () => encodeAndPublish({ ...prepared, model }, result, context));
      } catch (raw) {
        const error = Text2ImgError.from(raw);
        if (error.consequence === 'fail') publishGenerated(prepared, context, () => job.end(error));
        else failed.push({ job, error });
      }
    }),
  );
  await failures.ofEngine(failed, slot);
}

function publishGenerated({ job }: PreparedJob, context: WorkerContext, act: () => Promise<unknown>): void {
  job.isGenerated = true;
  context.publish(endJob(job, context, act));
}
