/** Runs jobs on a pipeline in this process, and collects what became of each. */
import assert from 'node:assert/strict';
import type { Text2ImgError } from '../../src/errors/text2img-error.ts';
import type { Pipeline } from '../../src/pipelines/contract.ts';
import { runJobs } from '../../src/pipelines/run-jobs.ts';

type RunJob = Parameters<typeof runJobs>[1][number];

export interface Drawn {
  readonly pixels: Uint8Array[];
  warnings: readonly string[];
  error: Text2ImgError | undefined;
}

/**
 * @param options.maxBatchImages how many images share a pass, as far as their requests allow it
 * @param options.previews after each pass
 * @returns one for each job, in their order
 */
export async function collectDrawings(
  pipeline: Pipeline,
  jobs: readonly Omit<RunJob, 'jobId'>[],
  { maxBatchImages, previews = false }: { readonly maxBatchImages: number; readonly previews?: boolean },
): Promise<readonly Drawn[]> {
  const results = jobs.map((): Drawn => ({ pixels: [], warnings: [], error: undefined }));
  const of = (jobId: string): Drawn => {
    const result = results[Number(jobId)];
    assert.ok(result !== undefined);
    return result;
  };
  const named = jobs.map((job, index) => ({ ...job, jobId: String(index) }));
  await runJobs(pipeline, named, {
    maxBatchImages,
    yieldToEventLoop: () => Promise.resolve(),
    observer: {
      onProgress: () => undefined,
      isPreviewDue: () => previews,
      onImage: (jobId, { image }) => of(jobId).pixels.push(image.pixels),
      onDone: (jobId, warnings) => {
        of(jobId).warnings = warnings;
      },
      onFailed: (jobId, error) => {
        of(jobId).error = error;
      },
    },
  });
  return results;
}
