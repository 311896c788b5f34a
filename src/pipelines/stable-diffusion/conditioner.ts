/**
 * Makes the inputs of Stable Diffusion's UNet from a request: the embeddings of its two prompts.
 * Source: diffusers pipelines/stable_diffusion/pipeline_stable_diffusion.py, StableDiffusionPipeline.encode_prompt.
 */
import type { Condition, Conditioner } from '../parts/conditions.ts';
import { encodePrompt, type PromptEncoder } from '../parts/encode-prompt.ts';
import { isGuided } from '../parts/guidance.ts';
import type { EncodedText } from '../parts/networks.ts';

export function stableDiffusionConditioner(prompts: PromptEncoder): Conditioner {
  const { maxTokens } = prompts.textEncoder;
  const condition = ({ hiddenStates: data }: EncodedText): Condition => ({
    encoder_hidden_states: { data, shape: [maxTokens, data.length / maxTokens] },
  });
  return {
    check: () => undefined,
    isGuided: ({ guidanceScale }) => isGuided(guidanceScale),
    encode: async ({ request, ...job }) => {
      const encode = async (text: string, what: string): Promise<Condition> =>
        condition(await encodePrompt(prompts, { ...job, text, what, skippedLayers: 0 }));
      const unconditional = await encode(request.negativePrompt ?? '', 'negative prompt');
      return { conditional: await encode(request.prompt, 'prompt'), unconditional };
    },
  };
}
