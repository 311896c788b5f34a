/** Runs jobs over a family whose state is a number: each pass adds the image's seed. It checks what holds for every job. */
import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import type { Text2ImgError } from '../../src/errors/text2img-error.ts';
import type { ResolvedGenerationRequest } from '../../src/job/generation-request.ts';
import type { RawImage } from '../../src/job/raw-image.ts';
import type { PipelineDurations } from '../../src/job/stages.ts';
import type { FinishImage, PassPlan, Pipeline, Prepared } from '../../src/pipelines/contract.ts';
import type { JobObserver, RunJob } from '../../src/pipelines/active-job.ts';
import { runJobs } from '../../src/pipelines/run-jobs.ts';
import { aRequest } from '../job/a-request.ts';

export interface Count {
  readonly seed: number;
  readonly again: boolean;
  value: number;
}

/** What happens in the family, as a test wants it. */
interface Family extends Partial<Pipeline<Count>> {
  readonly batchKey?: (job: RunJob) => string;
  readonly beginAgain?: (count: Count) => Count | undefined;
  /** The part of decoding that needs no network. */
  readonly finish?: (count: Count) => void;
}

export class Counting implements Pipeline<Count> {
  /** The seeds of each pass. */
  readonly passes: number[][] = [];
  readonly #family: Family;

  constructor(family: Family = {}) {
    this.#family = family;
    if (family.preview !== undefined) this.preview = family.preview;
    if (family.fault !== undefined) this.fault = family.fault;
  }

  preview?: (state: Count) => Promise<RawImage>;
  fault?: (state: Count, pass: number) => Text2ImgError | undefined;

  check(job: RunJob): PassPlan {
    return this.#family.check?.(job) ?? { passes: job.request.numInferenceSteps };
  }

  async prepare(job: RunJob, signal: AbortSignal): Promise<Prepared<Count>> {
    await this.#family.prepare?.(job, signal);
    const begin = (index: number): Count => ({ seed: job.request.seed + index, again: false, value: 0 });
    const { beginAgain } = this.#family;
    return {
      batchKey: this.#family.batchKey?.(job) ?? '',
      warnings: [`prepared ${job.jobId}`],
      begin,
      ...(beginAgain && { beginAgain: async (index: number) => beginAgain(begin(index)) }),
    };
  }

  async step(states: readonly Count[], pass: number, signal: AbortSignal): Promise<void> {
    this.passes.push(states.map(({ seed }) => seed));
    await this.#family.step?.(states, pass, signal);
    for (const state of states) state.value += state.seed;
  }

  async decode(state: Count, signal: AbortSignal): Promise<RawImage | FinishImage> {
    await this.#family.decode?.(state, signal);
    const { finish } = this.#family;
    if (finish === undefined) return imageOf(state.value);
    return async () => {
      finish(state);
      return imageOf(state.value);
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

export const imageOf = (value: number): RawImage => ({
  widthPx: 1,
  heightPx: 1,
  channels: 1,
  pixels: Uint8Array.of(value),
});

export interface Ended {
  readonly images: number[];
  readonly seeds: number[];
  previews: number;
  error?: Text2ImgError;
  warnings?: readonly string[];
  durationsMs?: PipelineDurations;
  ends: number;
}

interface Running {
  readonly pipeline?: Counting;
  readonly maxBatchImages?: number;
  readonly observer?: Partial<JobObserver>;
}

export interface JobChanges extends Partial<ResolvedGenerationRequest> {
  readonly signal?: AbortSignal;
}

export function job(jobId: string, { signal = new AbortController().signal, ...request }: JobChanges = {}): RunJob {
  return { jobId, images: [], signal, request: aRequest({ seed: 1, numInferenceSteps: 2, ...request }) };
}

/** Runs the jobs and checks what holds for each: it ends once, and its progress never goes back. */
export async function run(
  jobs: readonly RunJob[],
  { pipeline = new Counting(), maxBatchImages = 4, observer = {} }: Running = {},
): Promise<Map<string, Ended>> {
  const ended = new Map<string, Ended>();
  for (const { jobId } of jobs) ended.set(jobId, { images: [], seeds: [], previews: 0, ends: 0 });
  const of = (jobId: string): Ended => ended.get(jobId) as Ended;
  const steps = new Map<string, number>();
  await runJobs(pipeline, jobs, {
    maxBatchImages,
    yieldToEventLoop: () => new Promise((resolve) => setImmediate(resolve)),
    observer: {
      ...observer,
      onProgress: (jobId, progress) => {
        assert.equal(of(jobId).ends, 0, 'nothing comes after the end');
        assert.ok(progress.step >= (steps.get(jobId) ?? 0) && progress.step <= progress.steps);
        steps.set(jobId, progress.step);
        observer.onProgress?.(jobId, progress);
      },
      onImage: (jobId, { image, seed }) => {
        of(jobId).images.push(image.pixels[0] as number);
        of(jobId).seeds.push(seed);
      },
      onPreview: (jobId) => {
        of(jobId).previews++;
      },
      onDone: (jobId, warnings, durationsMs) =>
        Object.assign(of(jobId), { warnings, durationsMs, ends: of(jobId).ends + 1 }),
      onFailed: (jobId, error) => {
        observer.onFailed?.(jobId, error);
        Object.assign(of(jobId), { error, ends: of(jobId).ends + 1 });
      },
    },
  });
  for (const [jobId, { ends }] of ended) assert.equal(ends, 1, `${jobId} ends once`);
  for (const { signal } of jobs)
    assert.equal(getEventListeners(signal, 'abort').length, 0, 'no listener is left behind');
  return ended;
}
