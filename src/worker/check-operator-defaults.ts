/** The operator's defaults that only the model can judge: at the start, where the operator sees it, and not once for each document. */
import { Text2ImgError } from '../errors/text2img-error.ts';
import { quote } from '../lib/foreign-text.ts';
import type { GenerationDefaults } from '../job/generation-request.ts';
import type { ModelFacts } from '../job/model-facts.ts';

/** @throws `invalid_option` */
export function checkOperatorDefaults(
  { deepCacheBranch }: GenerationDefaults,
  { largestDeepCacheBranch: largest, modelName }: Pick<ModelFacts, 'largestDeepCacheBranch' | 'modelName'>,
): void {
  if (deepCacheBranch === undefined || largest === undefined || deepCacheBranch <= largest) return;
  throw new Text2ImgError(
    'invalid_option',
    `--deep-cache-branch (TEXT2IMG_DEEP_CACHE_BRANCH) ${deepCacheBranch} is not allowed with the model ${quote(modelName)}; it must be a whole number from 0 to ${largest}.`,
  );
}
