/** Generates one image with a checkpoint, through the engine's own functions, in this process. */
import assert from 'node:assert/strict';
import { loadModel } from '../../../src/engine/child/load-model.ts';
import type { EngineSettings } from '../../../src/engine/protocol.ts';
import { DEFAULT_LIMITS } from '../../../src/job/limits.ts';
import { parsePromptDocument } from '../../../src/job/prompt-document.ts';
import type { RawImage } from '../../../src/job/raw-image.ts';
import { resolveRequest } from '../../../src/job/resolve-request.ts';
import { FAMILIES } from '../../../src/pipelines/registry.ts';
import { runJobs } from '../../../src/pipelines/run-jobs.ts';
import { cpuSettings } from '../../engine/cpu-settings.ts';

/** As a prompt document. */
export type DrawnRequest = Readonly<Record<string, unknown>>;

export async function drawnBy(
  checkpoint: string,
  document: DrawnRequest,
  settings: Partial<EngineSettings> = {},
): Promise<RawImage> {
  await using model = await loadModel(cpuSettings(checkpoint, { threads: 2, ...settings }), FAMILIES);
  const { request } = parsePromptDocument(document, DEFAULT_LIMITS);
  const resolved = resolveRequest(request, { defaults: {}, model: model.facts, limits: DEFAULT_LIMITS, seed: 0 });
  const images: RawImage[] = [];
  await runJobs(
    model.pipeline,
    [{ jobId: 'one', request: resolved, images: [], signal: new AbortController().signal }],
    {
      maxBatchImages: 1,
      yieldToEventLoop: () => Promise.resolve(),
      observer: {
        onProgress: () => undefined,
        onImage: (_, { image }) => images.push(image),
        onDone: () => undefined,
        onFailed: (_, error) => {
          throw error;
        },
      },
    },
  );
  assert.ok(images[0] !== undefined, 'there is an image');
  return images[0];
}
