/** Facts of a loaded model, as an engine tells them. */
import type { ModelFacts } from '../../src/job/model-facts.ts';

export function modelFacts(changes: Partial<ModelFacts> = {}): ModelFacts {
  return {
    modelName: 'x',
    modelHash: null,
    pipelineClass: 'StableDiffusionPipeline',
    fields: [],
    defaultWidthPx: 64,
    defaultHeightPx: 64,
    defaults: {},
    maxBatchImages: 1,
    device: 'cpu',
    deviceReason: '',
    dtype: 'float32',
    runtime: 'openvino',
    runtimeReason: 'measured',
    loadMs: 0,
    warnings: [],
    ...changes,
  };
}
