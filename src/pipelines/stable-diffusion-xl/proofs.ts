/** Proves that the components of a Stable Diffusion XL checkpoint fit together. */
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { pooledFeatures } from '../../networks/unet-2d-condition-config.ts';
import { provePromptWidth, proveTokens } from '../parts/prove-prompts.ts';
import { proveChannels, proveInputs } from '../parts/prove-unet.ts';
import type { StableDiffusionXlCheckpoint } from './components.ts';

type Networks = StableDiffusionXlCheckpoint['networks'];

/** @throws `invalid_config`, `unsupported_config` */
export function proveStableDiffusionXl({ networks, tokenizers }: StableDiffusionXlCheckpoint): void {
  const { text_encoder: first, text_encoder_2: second, unet } = networks;
  proveTokens(first, tokenizers.tokenizer);
  proveTokens(second, tokenizers.tokenizer_2);
  proveEqualLengths(networks, tokenizers);
  provePromptWidth(unet, [first, second]);
  provePooledWidth(networks);
  proveChannels(networks);
  proveInputs(unet, ['addition_embed_type', 'time_cond_proj_dim']);
  proveStatistics(networks);
}

/** The embeddings of both text encoders lie side by side, token by token. */
function proveEqualLengths(
  { text_encoder_2: second }: Networks,
  { tokenizer: first, tokenizer_2: other }: StableDiffusionXlCheckpoint['tokenizers'],
): void {
  if (first.maxTokens === other.maxTokens) return;
  throw new Text2ImgError(
    'invalid_config',
    `${second.configPath}: its prompts have ${other.maxTokens} tokens, but those of the first text encoder have ${first.maxTokens}; they must be equal.`,
  );
}

function provePooledWidth({ unet, text_encoder_2: second }: Networks): void {
  const asked = pooledFeatures(unet.config);
  const given = second.config.projection_dim;
  if (asked === undefined || asked === given) return;
  throw new Text2ImgError(
    'invalid_config',
    `${unet.configPath}: "projection_class_embeddings_input_dim" leaves ${asked} for the prompt, but the second text encoder’s "projection_dim" is ${given}; they must be equal.`,
  );
}

function proveStatistics({ vae: { config, configPath } }: Networks): void {
  for (const key of ['latents_mean', 'latents_std'] as const) {
    const count = config[key]?.length ?? config.latent_channels;
    if (count === config.latent_channels) continue;
    throw new Text2ImgError(
      'invalid_config',
      `${configPath}: "${key}" has ${count} numbers, but "latent_channels" is ${config.latent_channels}; they must be as many.`,
    );
  }
}
