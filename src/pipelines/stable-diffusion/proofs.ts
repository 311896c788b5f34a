/** Proves that the components of a Stable Diffusion 1.x checkpoint fit together: the tokens, the width of the prompt's embeddings, and the channels. */
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { attends, unetBlocks } from '../../networks/unet-2d-condition-config.ts';
import { proveChannels, proveInputs } from '../parts/prove-unet.ts';
import type { StableDiffusionCheckpoint } from './components.ts';

type Networks = StableDiffusionCheckpoint['networks'];
type Tokenizers = StableDiffusionCheckpoint['tokenizers'];

/** @throws `invalid_config`, `unsupported_config` */
export function proveStableDiffusion({ networks, tokenizers }: StableDiffusionCheckpoint): void {
  proveTokens(networks, tokenizers);
  provePromptWidth(networks);
  proveChannels(networks);
  proveInputs(networks.unet, []);
}

/** Every token that a prompt can have stands in the text encoder's table. */
function proveTokens({ text_encoder: { config, configPath } }: Networks, { tokenizer }: Tokenizers): void {
  const { maxTokenId } = tokenizer;
  if (maxTokenId < config.vocab_size) return;
  throw new Text2ImgError(
    'invalid_config',
    `${configPath}: "vocab_size" is ${config.vocab_size}, but the tokenizer has a token with the id ${maxTokenId}; ` +
      `at least ${maxTokenId + 1} are needed.`,
  );
}

/** Every block of the UNet that attends to the prompt expects what the text encoder gives. */
function provePromptWidth({ text_encoder: textEncoder, unet: { config, configPath } }: Networks): void {
  const width = textEncoder.config.hidden_size;
  const wrong = unetBlocks(config).find(
    (block, index) => attends(block, index, config) && block.contextFeatures !== width,
  );
  if (wrong === undefined) return;
  throw new Text2ImgError(
    'invalid_config',
    `${configPath}: "cross_attention_dim" is ${wrong.contextFeatures}, but the text encoder’s "hidden_size" is ${width}; they must be equal.`,
  );
}
