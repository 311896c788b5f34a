/**
 * Proves that the parts of a checkpoint fit together, by its configurations and the headers of its weight files: nothing is loaded. What passes
 * here can be drawn with; `models list`, `models show`, `doctor` and the engine all ask here. What each configuration says for itself is checked
 * where it is read (`networks/`).
 */
import { attends, unetBlocks } from '../../networks/unet-2d-condition-config.ts';
import type { Checkpoint } from '../../checkpoint/open-checkpoint.ts';
import { Text2ImgError } from '../../errors/text2img-error.ts';
import type { BuiltGraph, ComputeType } from '../../onnx/graph.ts';
import { buildVaeDecoderGraph } from '../../networks/autoencoder-kl.ts';
import { buildClipTextGraph } from '../../networks/clip-text-model.ts';
import { buildUNet2DConditionGraph } from '../../networks/unet-2d-condition-model.ts';

/** The checkpoint's networks, ready to be opened by a runtime. */
export interface NetworkGraphs {
  readonly textEncoder: BuiltGraph;
  readonly unet: BuiltGraph;
  readonly vae: BuiltGraph;
}

const COLOUR_CHANNELS = 3;

/** @throws `invalid_config`, `unsupported_config`, `missing_tensor`, `wrong_tensor_shape` */
export function proveFit(checkpoint: Checkpoint, computeType: ComputeType = 'float32'): NetworkGraphs {
  proveTokens(checkpoint);
  provePromptWidth(checkpoint);
  proveChannels(checkpoint);
  const { textEncoder, unet, vae, tokenizer } = checkpoint;
  return {
    textEncoder: buildClipTextGraph({ ...textEncoder, computeType, tokens: tokenizer.maxTokens }),
    unet: buildUNet2DConditionGraph({ ...unet, computeType }),
    vae: buildVaeDecoderGraph({ ...vae, computeType }),
  };
}

/** Every token that a prompt can have stands in the text encoder's table. */
function proveTokens({ textEncoder: { config, configPath }, tokenizer: { maxTokenId } }: Checkpoint): void {
  if (maxTokenId < config.vocab_size) return;
  throw new Text2ImgError(
    'invalid_config',
    `${configPath}: "vocab_size" is ${config.vocab_size}, but the tokenizer has a token with the id ${maxTokenId}; ` +
      `at least ${maxTokenId + 1} are needed.`,
  );
}

/** Every block of the UNet that attends to the prompt expects what the text encoder gives. */
function provePromptWidth({ textEncoder, unet: { config, configPath } }: Checkpoint): void {
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

/** Latents go from step to step and into the autoencoder, which turns them into red, green and blue. */
function proveChannels({ unet, vae }: Checkpoint): void {
  const { in_channels: taken, out_channels: given } = unet.config;
  const { latent_channels: decoded, out_channels: colours } = vae.config;
  if (taken !== decoded)
    throw new Text2ImgError(
      'unsupported_config',
      `${unet.configPath}: "in_channels" is ${taken}, but the autoencoder’s "latent_channels" is ${decoded}; they must be equal` +
        `${taken > decoded && given === decoded ? ' (this UNet needs an image beside the latents, as for inpainting)' : ''}.`,
    );
  if (given !== taken)
    throw new Text2ImgError(
      'unsupported_config',
      `${unet.configPath}: "out_channels" is ${given}, but "in_channels" is ${taken}; they must be equal.`,
    );
  if (colours !== COLOUR_CHANNELS)
    throw new Text2ImgError(
      'unsupported_config',
      `${vae.configPath}: "out_channels" is ${colours}; allowed is ${COLOUR_CHANNELS} (red, green, blue).`,
    );
}
