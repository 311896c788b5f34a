/**
 * Makes the inputs of Stable Diffusion XL's UNet from a request. These are the embeddings of two text encoders side by side, the second one's vector
 * for the whole prompt, and sizes.
 * Source: diffusers pipelines/stable_diffusion_xl/pipeline_stable_diffusion_xl.py, encode_prompt, _get_add_time_ids and __call__.
 */
import type { ResolvedGenerationRequest } from '../../job/generation-request.ts';
import { checkClipSkip } from '../parts/check-clip-skip.ts';
import type { Condition, Conditioner, Conditions } from '../parts/conditions.ts';
import { encodePrompt, type PromptEncoder, type PromptText } from '../parts/encode-prompt.ts';
import { isGuided } from '../parts/guidance.ts';
import { guidanceCondition, unguidedFieldWarnings } from '../parts/guidance-embedding.ts';
import type { EncodedText } from '../parts/networks.ts';
import { sideBySide } from './side-by-side.ts';
import { type SizeIds, sizeIdsOf } from './size-ids.ts';
import { unusedFieldWarnings } from './unused-fields.ts';

export interface XlConditionerParts {
  readonly first: PromptEncoder;
  /** Gives the pooled vector too. */
  readonly second: PromptEncoder;
  /** An absent negative prompt is zeros: `force_zeros_for_empty_prompt`. */
  readonly zerosWithoutNegative: boolean;
  /** The UNet reads the pooled vector and the sizes: `addition_embed_type` is `text_time`. */
  readonly readsSizes: boolean;
  /** The UNet's `time_cond_proj_dim`. */
  readonly guidanceFeatures: number | null;
}

/** One prompt for both text encoders. */
interface Texts extends Pick<PromptText, 'skippedLayers' | 'warnings' | 'signal'> {
  readonly first: string;
  readonly second: string;
  /** `prompt` or `negative prompt` */
  readonly what: string;
}

interface Encoded {
  /** [T, D1 + D2] */
  readonly hiddenStates: Float32Array;
  /** [P] */
  readonly pooled: Float32Array;
}

export function xlConditioner(parts: XlConditionerParts): Conditioner {
  const guided = ({ guidanceScale }: ResolvedGenerationRequest): boolean =>
    parts.guidanceFeatures === null && isGuided(guidanceScale);
  return {
    check: (request) => checkClipSkip(request, parts.first.textEncoder, parts.second.textEncoder),
    isGuided: guided,
    encode: async ({ request, warnings, signal }): Promise<Conditions> => {
      warnings.push(...unusedFieldWarnings(request, parts));
      warnings.push(...unguidedFieldWarnings(request, parts.guidanceFeatures));
      const job = { warnings, signal };
      const { prompt, prompt2, negativePrompt, negativePrompt2, clipSkip } = request;
      const positive = { first: prompt, second: prompt2 || prompt, what: 'prompt', skippedLayers: clipSkip ?? 0 };
      const encoded = await encodeTexts(parts, { ...positive, ...job });
      const sizes = sizeIdsOf(request);
      const conditional = conditionOf(parts, encoded, sizes.conditional, request);
      if (!guided(request)) return { conditional, unconditional: conditional };
      const first = negativePrompt ?? '';
      // diffusers leaves out no layer for the negative prompt.
      const negative = { first, second: negativePrompt2 || first, what: 'negative prompt', skippedLayers: 0 };
      const unguided =
        negativePrompt === null && parts.zerosWithoutNegative
          ? zerosLike(encoded)
          : await encodeTexts(parts, { ...negative, ...job });
      return { conditional, unconditional: conditionOf(parts, unguided, sizes.unconditional, request) };
    },
  };
}

async function encodeTexts(parts: XlConditionerParts, { first, second, what, ...job }: Texts): Promise<Encoded> {
  const one = await encodePrompt(parts.first, { ...job, text: first, what });
  const secondWhat = second === first ? what : `second ${what}`;
  const two = await encodePrompt(parts.second, { ...job, text: second, what: secondWhat });
  const tokens = parts.first.textEncoder.maxTokens;
  return { hiddenStates: sideBySide([one.hiddenStates, two.hiddenStates], tokens), pooled: pooledOf(two) };
}

function pooledOf({ pooled = new Float32Array() }: EncodedText): Float32Array {
  return pooled;
}

function zerosLike({ hiddenStates, pooled }: Encoded): Encoded {
  return { hiddenStates: new Float32Array(hiddenStates.length), pooled: new Float32Array(pooled.length) };
}

function conditionOf(
  { first, readsSizes, guidanceFeatures }: XlConditionerParts,
  { hiddenStates, pooled }: Encoded,
  sizeIds: SizeIds,
  { guidanceScale }: ResolvedGenerationRequest,
): Condition {
  const tokens = first.textEncoder.maxTokens;
  return {
    encoder_hidden_states: { data: hiddenStates, shape: [tokens, hiddenStates.length / tokens] },
    ...guidanceCondition(guidanceScale, guidanceFeatures),
    ...(readsSizes && {
      text_embeds: { data: pooled, shape: [pooled.length] },
      time_ids: { data: Float32Array.from(sizeIds), shape: [sizeIds.length] },
    }),
  };
}
