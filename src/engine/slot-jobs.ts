/** The jobs of one slot. If a shared pass runs out of memory, its jobs are generated again in passes of half the size, within the same attempt. */
import { Text2ImgError } from '../errors/text2img-error.ts';
import type { ModelFacts } from '../job/model-facts.ts';
import { zip } from '../lib/zip.ts';
import type { BatchBudget } from './batch-budget.ts';
import type { EngineHost } from './engine-host.ts';
import type { EngineJob, JobEvents, JobResult, ResultsOf } from './engine-job.ts';

export interface SlotJobsOptions {
  readonly host: EngineHost;
  readonly model: ModelFacts;
  readonly budget: BatchBudget;
  readonly events: JobEvents;
  /** The engine cannot be had: no job's fault. */
  readonly onRefusal: (error: Text2ImgError) => void;
}

interface SlotJob extends PromiseWithResolvers<JobResult> {
  readonly job: EngineJob;
  /** `failed`: its owner still decides what follows, which may take the engine. */
  state: 'running' | 'ended' | 'failed';
  isCancelled: boolean;
}

export class SlotJobs {
  readonly #options: SlotJobsOptions;
  #jobs: readonly SlotJob[] = [];

  constructor(options: SlotJobsOptions) {
    this.#options = options;
  }

  generate<const Jobs extends readonly EngineJob[]>(jobs: Jobs): ResultsOf<Jobs> {
    this.#jobs = jobs.map((job) => ({
      job,
      state: 'running',
      isCancelled: false,
      ...Promise.withResolvers<JobResult>(),
    }));
    // The owner may look at the results one after the other; a rejection in the meantime is not unhandled.
    for (const { promise } of this.#jobs) promise.catch(() => undefined);
    void this.#pass(this.#jobs);
    // `map` keeps the number of elements, which its type does not say.
    return this.#jobs.map(({ promise }) => promise) as unknown as ResultsOf<Jobs>;
  }

  /** Of the job that is done last; undefined where one has not begun, or failed. */
  remainingMs(): number | undefined {
    const remainingMs = this.#jobs.map(({ job, state }) => {
      if (state === 'ended') return 0;
      return state === 'failed' ? undefined : this.#options.host.remainingMs(job.jobId);
    });
    return remainingMs.includes(undefined) ? undefined : Math.max(0, ...(remainingMs as number[]));
  }

  cancel(jobId: string): void {
    const found = this.#jobs.find(({ job }) => job.jobId === jobId);
    if (found === undefined) return;
    found.isCancelled = true;
    this.#options.host.cancel(jobId);
  }

  async #pass(jobs: readonly SlotJob[]): Promise<void> {
    const { host, model, budget, events } = this.#options;
    const pixels = Math.max(...jobs.map(({ job }) => job.request.widthPx * job.request.heightPx));
    const images = jobs.reduce((sum, { job }) => sum + job.request.numImages, 0);
    const maxBatchImages = budget.imagesPerPass(model, pixels);
    const results = host.generate(
      jobs.map(({ job }) => job),
      { ...events, maxBatchImages },
    );
    const outOfMemory: { readonly slotJob: SlotJob; readonly error: Text2ImgError }[] = [];
    await Promise.all(
      zip(jobs, results).map(async ([slotJob, promise]) => {
        try {
          const result = await promise;
          slotJob.state = 'ended';
          slotJob.resolve(result);
        } catch (raw) {
          const error = Text2ImgError.from(raw);
          if (error.code === 'engine_out_of_memory' && !slotJob.isCancelled) outOfMemory.push({ slotJob, error });
          else this.#fail(slotJob, error);
        }
      }),
    );
    if (outOfMemory.length === 0) return;
    if (budget.halve({ pixels, images: Math.min(images, maxBatchImages) }))
      return this.#pass(outOfMemory.map(({ slotJob }) => slotJob));
    for (const { slotJob, error } of outOfMemory) this.#fail(slotJob, error);
  }

  #fail(slotJob: SlotJob, error: Text2ImgError): void {
    slotJob.state = error.consequence === 'fail' ? 'ended' : 'failed';
    if (error.consequence === 'give-back') this.#options.onRefusal(error);
    slotJob.reject(error);
  }
}
