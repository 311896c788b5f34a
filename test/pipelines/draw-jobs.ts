/** Draws documents with a checkpoint folder in this process: the images and warnings of each. */
import { loadModel } from '../../src/engine/child/load-model.ts';
import { DEFAULT_LIMITS } from '../../src/job/limits.ts';
import { parsePromptDocument } from '../../src/job/prompt-document.ts';
import { resolveRequest } from '../../src/job/resolve-request.ts';
import type { Pipeline } from '../../src/pipelines/contract.ts';
import { FAMILIES } from '../../src/pipelines/registry.ts';
import { cpuSettings } from '../engine/cpu-settings.ts';
import { collectDrawings, type Drawn } from './collect-drawings.ts';

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
  const jobs = documents.map((document) => {
    const { request } = parsePromptDocument(document, DEFAULT_LIMITS);
    const options = { defaults: {}, model: model.facts, limits: DEFAULT_LIMITS, seed: 0 };
    const signal = new AbortController().signal;
    return { request: resolveRequest(request, options), images: [], signal };
  });
  const { pipeline } = model;
  const watched: Pipeline = {
    check: (job) => pipeline.check(job),
    prepare: (job, signal) => pipeline.prepare(job, signal),
    step: (states, pass, signal) => {
      onPass(states.length);
      return pipeline.step(states, pass, signal);
    },
    endPasses: (states) => pipeline.endPasses?.(states),
    fault: (state, pass) => pipeline.fault?.(state, pass),
    decode: (state, signal) => pipeline.decode(state, signal),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
  return await collectDrawings(watched, jobs, { maxBatchImages });
}
