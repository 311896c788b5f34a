/** Proves that the components of a Stable Diffusion checkpoint fit together. */
import { provePromptWidth, proveTokens } from '../parts/prove-prompts.ts';
import { proveChannels, proveInputs } from '../parts/prove-unet.ts';
import type { StableDiffusionCheckpoint } from './components.ts';

/** @throws `invalid_config`, `unsupported_config` */
export function proveStableDiffusion({ networks, tokenizers }: StableDiffusionCheckpoint): void {
  const { text_encoder: textEncoder, unet } = networks;
  proveTokens(textEncoder, tokenizers.tokenizer);
  provePromptWidth(unet, [textEncoder]);
  proveChannels(networks);
  proveInputs(unet, ['time_cond_proj_dim']);
}
