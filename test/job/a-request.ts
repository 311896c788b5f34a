/** A resolved request and the facts of a model, for tests that need some: a new field of the table has its default in them. */
import type { ResolvedGenerationRequest } from '../../src/job/generation-request.ts';
import { NO_LIMITS } from '../../src/job/limits.ts';
import type { ModelFacts } from '../../src/job/model-facts.ts';
import { REQUEST_FIELDS } from '../../src/job/request-fields.ts';
import { resolveRequest } from '../../src/job/resolve-request.ts';

export const MODEL_FACTS: ModelFacts = {
  modelName: 'm',
  modelHash: null,
  pipelineClass: 'StableDiffusionPipeline',
  fields: Object.keys(REQUEST_FIELDS),
  defaultWidthPx: 64,
  defaultHeightPx: 64,
  defaults: { negativePrompt: '', scheduler: 'DDIMScheduler' },
  maxBatchImages: 4,
  device: 'cpu',
  deviceReason: 'cpu',
  dtype: 'float32',
  loadMs: 1,
  warnings: [],
};

export function aRequest(stated: Partial<ResolvedGenerationRequest>): ResolvedGenerationRequest {
  const request = resolveRequest({ prompt: '' }, { defaults: {}, model: MODEL_FACTS, limits: NO_LIMITS, seed: 1 });
  return { ...request, ...stated };
}
