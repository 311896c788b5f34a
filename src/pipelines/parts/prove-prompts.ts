/** Proofs about the text encoders of a latent diffusion model that families share: their tokens, and how wide the prompt's embeddings are. */
import type { CheckpointNetwork } from '../../checkpoint/checkpoint.ts';
import type { TokenizerFiles } from '../../checkpoint/tokenizer-files.ts';
import { Text2ImgError } from '../../errors/text2img-error.ts';
import type { ClipTextConfig } from '../../networks/clip-text-config.ts';
import { attends, type UNet2DConditionConfig, unetBlocks } from '../../networks/unet-2d-condition-config.ts';

type Unet = CheckpointNetwork<UNet2DConditionConfig>;

/** Every token that a prompt can have stands in the text encoder's table. @throws `invalid_config` */
export function proveTokens(
  { config, configPath }: CheckpointNetwork<ClipTextConfig>,
  { maxTokenId }: Pick<TokenizerFiles, 'maxTokenId'>,
): void {
  if (maxTokenId < config.vocab_size) return;
  throw new Text2ImgError(
    'invalid_config',
    `${configPath}: "vocab_size" is ${config.vocab_size}, but the tokenizer has a token with the id ${maxTokenId}; ` +
      `at least ${maxTokenId + 1} are needed.`,
  );
}

/** Every block of the UNet that attends to the prompt expects what the text encoders give together. @throws `invalid_config` */
export function provePromptWidth(
  { config, configPath }: Unet,
  encoders: readonly CheckpointNetwork<ClipTextConfig>[],
): void {
  const widths = encoders.map((encoder) => encoder.config.hidden_size);
  const width = widths.reduce((sum, one) => sum + one, 0);
  const wrong = unetBlocks(config).find(
    (block, index) => attends(block, index, config) && block.contextFeatures !== width,
  );
  if (wrong === undefined) return;
  const whose =
    encoders.length === 1 ? 'the text encoder’s "hidden_size" is' : 'the sum of the text encoders’ "hidden_size" is';
  throw new Text2ImgError(
    'invalid_config',
    `${configPath}: "cross_attention_dim" is ${wrong.contextFeatures}, but ${whose} ${width}; they must be equal.`,
  );
}
