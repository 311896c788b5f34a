/**
 * Makes the inputs of Stable Diffusion's UNet from a request: the embeddings of its two prompts, and the guidance where the UNet reads it.
 * Source: diffusers pipelines/stable_diffusion/pipeline_stable_diffusion.py, StableDiffusionPipeline.encode_prompt.
 */
import type { ResolvedGenerationRequest } from '../../job/generation-request.ts';
import { checkClipSkip } from '../parts/check-clip-skip.ts';
import type { Condition, Conditioner } from '../parts/conditions.ts';
import { encodePrompt, type PromptEncoder } from '../parts/encode-prompt.ts';
import { isGuided } from '../parts/guidance.ts';
import { guidanceCondition, unguidedFieldWarnings } from '../parts/guidance-embedding.ts';

/** @param guidanceFeatures the UNet's `time_cond_proj_dim`: one that reads the guidance needs no unconditional half */
export function stableDiffusionConditioner(
  prompts: PromptEncoder,
  guidanceFeatures: number | null = null,
): Conditioner {
  const { maxTokens } = prompts.textEncoder;
  const guided = ({ guidanceScale }: ResolvedGenerationRequest): boolean =>
    guidanceFeatures === null && isGuided(guidanceScale);
  return {
    check: (request) => checkClipSkip(request, prompts.textEncoder),
    isGuided: guided,
    encode: async ({ request, ...job }) => {
      const { prompt, negativePrompt, clipSkip, guidanceScale } = request;
      job.warnings.push(...unguidedFieldWarnings(request, guidanceFeatures));
      const guidance = guidanceCondition(guidanceScale, guidanceFeatures);
      const encode = async (text: string, what: string, skippedLayers: number): Promise<Condition> => {
        const { hiddenStates: data } = await encodePrompt(prompts, { ...job, text, what, skippedLayers });
        return { encoder_hidden_states: { data, shape: [maxTokens, data.length / maxTokens] }, ...guidance };
      };
      // diffusers leaves out no layer for the negative prompt.
      const unconditional = guided(request) ? await encode(negativePrompt ?? '', 'negative prompt', 0) : undefined;
      const conditional = await encode(prompt, 'prompt', clipSkip ?? 0);
      return { conditional, unconditional: unconditional ?? conditional };
    },
  };
}
