/** One image of a request, from prompt to pixels. */
import type { ResolvedGenerationRequest } from '../src/job/generation-request.ts';
import type { Pipeline } from '../src/pipelines/contract.ts';
import { runJobs } from '../src/pipelines/run-jobs.ts';

/** @throws what ends the job */
export async function drawImage(pipeline: Pipeline, request: ResolvedGenerationRequest): Promise<void> {
  const job = { jobId: 'image', request, images: [], signal: new AbortController().signal };
  await runJobs(pipeline, [job], {
    maxBatchImages: 1,
    yieldToEventLoop: () => new Promise((resolve) => setImmediate(resolve)),
    observer: {
      onProgress: () => undefined,
      onImage: () => undefined,
      onDone: () => undefined,
      onFailed: (_, error) => {
        throw error;
      },
    },
  });
}
