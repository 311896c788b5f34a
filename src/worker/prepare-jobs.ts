/**
 * Between claim and engine: what the documents ask for, and what lies at their places in the store. Documents that ask for what cannot be end here,
 * and so do those whose images a dead attempt has stored already.
 */
import type { ResolvedGenerationRequest } from '../job/generation-request.ts';
import type { ModelFacts } from '../job/model-facts.ts';
import type { ClaimedJob } from './claimed-job.ts';
import { surveyPlaces } from './image-places.ts';
import { complete, placesOf } from './publish-job.ts';
import { type Batch, endJob, type PreparedJob, type WorkerContext } from './worker-context.ts';

/** Those that are left to be generated or stored. */
export async function prepareJobs(
  jobs: readonly ClaimedJob[],
  model: ModelFacts,
  context: WorkerContext,
): Promise<PreparedJob[]> {
  const prepared = await Promise.all(jobs.map((job) => prepareJob(job, model, context)));
  return prepared.filter((one) => one !== undefined);
}

async function prepareJob(
  job: ClaimedJob,
  model: ModelFacts,
  context: WorkerContext,
): Promise<PreparedJob | undefined> {
  const { failures } = context;
  let request: ResolvedGenerationRequest;
  try {
    request = job.resolve(model);
    context.automaticSchedules.tell(request, context.options.logger);
  } catch (error) {
    await endJob(job, context, () => job.end(error));
    return undefined;
  }
  try {
    const places = placesOf(job, context);
    const survey = await job.times.measure('store', () => surveyPlaces(job, request.numImages, places));
    if (survey === undefined) await endJob(job, context, async () => job.lose());
    else {
      const { stored, surplus } = survey;
      const prepared = { job, model, request, surplus };
      if (stored === undefined) return { ...prepared, kept: failures.kept.take(job.claim.runId, request) };
      await endJob(job, context, () => complete(prepared, { urls: stored, warnings: [] }, context));
    }
  } catch (error) {
    await endJob(job, context, () => failures.ofStore(job, error));
  }
  return undefined;
}

/** Nothing will be generated for them here now. */
export function releaseBatch({ jobs }: Batch, context: WorkerContext): void {
  if ('prepared' in jobs) releaseJobs(jobs.prepared, context);
  else for (const job of jobs.claimed) context.publish(endJob(job, context, () => job.release()));
}

/** Images that are generated already are kept for the next attempt. */
function releaseJobs(jobs: readonly PreparedJob[], context: WorkerContext): void {
  for (const { job, request, kept } of jobs) {
    if (kept !== undefined) context.failures.kept.keep(job.claim.runId, request, kept);
    context.publish(endJob(job, context, () => job.release()));
  }
}
