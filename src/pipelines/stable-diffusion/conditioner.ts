/**
 * Makes the inputs of Stable Diffusion's UNet from a request: the embeddings of its two prompts, and the guidance where the UNet reads it.
 * Source: diffusers pipelines/stable_diffusion/pipeline_stable_diffusion.py, StableDiffusionPipeline.encode_prompt.
 */
import { checkClipSkip } from '../parts/check-clip-skip.ts';
import type { Condition, Conditioner } from '../parts/conditions.ts';
import { encodePrompt, type PromptEncoder } from '../parts/encode-prompt.ts';
import { isGuided } from '../parts/guidance.ts';
import { guidanceCondition } from '../parts/guidance-embedding.ts';

/** @param guidanceFeatures the UNet's `time_cond_proj_dim`: one that reads the guidance needs no unconditional half */
export function stableDiffusionConditioner(
  prompts: PromptEncoder,
  guidanceFeatures: number | null = null,
): Conditioner {
  const { maxTokens } = prompts.textEncoder;
  return {
    check: (request) => checkClipSkip(request, prompts.textEncoder),
    isGuided: ({ guidanceScale }) => guidanceFeatures === null && isGuided(guidanceScale),
    encode: async ({ request, ...job }) => {
      const { prompt, negativePrompt, clipSkip, guidanceScale } = request;
      const guidance = guidanceCondition(guidanceScale, guidanceFeatures);
      const encode = async (text: string, what: string, skippedLayers: number): Promise<Condition> => {
        const { hiddenStates: data } = await encodePrompt(prompts, { ...job, text, what, skippedLayers });
        return { encoder_hidden_states: { data, shape: [maxTokens, data.length / maxTokens] }, ...guidance };
      };
      const ofPrompt = (): Promise<Condition> => encode(prompt, 'prompt', clipSkip ?? 0);
      if (guidanceFeatures !== null) {
        const conditional = await ofPrompt();
        return { conditional, unconditional: conditional };
      }
      // diffusers leaves out no layer for the negative prompt.
      const unconditional = await encode(negativePrompt ?? '', 'negative prompt', 0);
      return { conditional: await ofPrompt(), unconditional };
    },
  };
}
