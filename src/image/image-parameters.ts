/** The facts of one image in the `parameters` text: the values of its request that the model read, and facts of the generated image. */
import type { ResolvedGenerationRequest } from '../job/generation-request.ts';
import type { ModelFacts } from '../job/model-facts.ts';
import { omitUndefined } from '../lib/omit-undefined.ts';
import type { GenerationParameters } from './parameters-text.ts';

interface MadeImage {
  readonly seed: number;
  /** The size as generated: some models cannot make the one that was asked for. */
  readonly widthPx: number;
  readonly heightPx: number;
}

/** A field that the model does not read has no part in the image, so its default is left out. */
export function imageParameters(
  request: ResolvedGenerationRequest,
  {
    modelName,
    modelHash,
    vaeName,
    fields,
    defaults,
    runtime,
    dtype,
    weights,
  }: Pick<ModelFacts, 'modelName' | 'modelHash' | 'vaeName' | 'fields' | 'defaults' | 'runtime' | 'weights'> &
    Partial<Pick<ModelFacts, 'dtype'>>,
  { seed, widthPx, heightPx }: MadeImage,
): GenerationParameters {
  const read: Partial<ResolvedGenerationRequest> = Object.fromEntries(
    Object.entries(request).filter(([name]) => fields.includes(name)),
  );
  // Where none is something else than an empty text, an empty text has to stand in the PNG.
  const isEmptyMeant = read.negativePrompt === '' && defaults['negativePrompt'] !== '';
  return {
    ...read,
    ...(isEmptyMeant ? { isEmptyNegativeMeant: true } : {}),
    prompt: request.prompt,
    seed,
    widthPx,
    heightPx,
    modelName,
    modelHash,
    ...omitUndefined({ vaeName }),
    ...omitUndefined({ runtime: runtimeText({ runtime, dtype, weights }) }),
  };
}

/** undefined: ONNX Runtime's usual arithmetic. */
function runtimeText({
  runtime = 'onnxruntime',
  dtype,
  weights,
}: {
  readonly [Name in 'runtime' | 'dtype' | 'weights']: ModelFacts[Name] | undefined;
}): string | undefined {
  if (runtime === 'onnxruntime' && weights === undefined) return undefined;
  return [runtime, dtype === 'bfloat16' ? dtype : undefined, weights].filter((word) => word !== undefined).join(' ');
}
