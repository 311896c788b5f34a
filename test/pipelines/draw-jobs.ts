/** Draws documents with a checkpoint folder in this process: the images and warnings of each. */
import assert from 'node:assert/strict';
import { loadModel } from '../../src/engine/child/load-model.ts';
import type { Text2ImgError } from '../../src/errors/text2img-error.ts';
import { DEFAULT_LIMITS } from '../../src/job/limits.ts';
import { parsePromptDocument } from '../../src/job/prompt-document.ts';
import { resolveRequest } from '../../src/job/resolve-request.ts';
import type { Pipeline } from '../../src/pipelines/contract.ts';
import { FAMILIES } from '../../src/pipelines/registry.ts';
import { runJobs } from '../../src/pipelines/run-jobs.ts';
import { cpuSettings } from '../engine/cpu-settings.ts';

export interface Drawn {
  readonly pixels: Uint8Array[];
  warnings: readonly string[];
  error: Text2ImgError | undefined;
}

interface Drawing {
  /** How many images share a pass, as far as their requests allow it. */
  readonly maxBatchImages?: number;
  /** Told of each pass how many images share it. */
  readonly onPass?: (images: number) => void;
  /** Folder or file of another autoencoder. */
  readonly vae?: string;
}

export async function drawDocuments(
  folder: string,
  documents: readonly Readonly<Record<string, unknown>>[],
  { maxBatchImages = 1, onPass = () => undefined, vae }: Drawing = {},
): Promise<readonly Drawn[]> {
  await using model = await loadModel(
    cpuSettings(folder, { threads: 1, ...(vae !== undefined && { vae: { path: vae, name: 'vae' } }) }),
    FAMILIES,
  );
  const results = documents.map((): Drawn => ({ pixels: [], warnings: [], error: undefined }));
  const of = (jobId: string): Drawn => {
    const result = results[Number(jobId)];
    assert.ok(result !== undefined);
    return result;
  };
  const jobs = documents.map((document, index) => {
    const { request } = parsePromptDocument(document, DEFAULT_LIMITS);
    const options = { defaults: {}, model: model.facts, limits: DEFAULT_LIMITS, seed: 0 };
    const signal = new AbortController().signal;
    return { jobId: String(index), request: resolveRequest(request, options), images: [], signal };
  });
  const { pipeline } = model;
  const watched: Pipeline = {
    check: (job) => pipeline.check(job),
    prepare: (job, signal) => pipeline.prepare(job, signal),
    step: (states, pass, signal) => {
      onPass(states.length);
      return pipeline.step(states, pass, signal);
    },
    fault: (state, pass) => pipeline.fault?.(state, pass),
    decode: (state, signal) => pipeline.decode(state, signal),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
  await runJobs(watched, jobs, {
    maxBatchImages,
    yieldToEventLoop: () => Promise.resolve(),
    observer: {
      onProgress: () => undefined,
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
