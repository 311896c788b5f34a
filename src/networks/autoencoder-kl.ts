/**
 * The decoder of the variational autoencoder: latents in, an image out, one image at a time.
 * Source: diffusers models/autoencoders/autoencoder_kl.py (decode) and vae.py, Decoder.
 */
import { type BuiltGraph, GraphBuilder, type Value } from '../onnx/graph.ts';
import { AUTOENCODER_KL_RULES, type AutoencoderKlConfig } from './autoencoder-kl-config.ts';
import { attention } from './layers/attention.ts';
import { activatedGroupNorm } from './layers/norms.ts';
import { add, conv2d, groupNorm } from './layers/primitives.ts';
import { resnetBlock2d, toTokens, upsample2d } from './layers/resnet-block-2d.ts';
import type { NetworkBuild, NetworkClass } from './network-class.ts';

const NORM_EPSILON = 1e-6;

/**
 * Input: `latent_sample` [1, C, h, w], already divided by `scaling_factor`; output: `sample` [1, 3, H, W]; float32.
 * @throws `missing_tensor`, `wrong_tensor_shape`
 */
function buildDecoder({
  config,
  weights,
  computeType,
  form,
  fusedDomain,
  sizes = {},
}: NetworkBuild<AutoencoderKlConfig>): BuiltGraph {
  const g = new GraphBuilder(weights, computeType, { form, fusedDomain });
  const channels = config.block_out_channels.toReversed();
  const first = channels[0] as number;
  const norm = { groups: config.norm_num_groups, epsilon: NORM_EPSILON };
  const shape = [1, config.latent_channels, sizes.height ?? 64, sizes.width ?? 64];
  const latents = g.cast(
    g.input('latent_sample', 'float32', [1, config.latent_channels, 'height', 'width'], shape),
    g.graphType,
  );
  let hidden = config.use_post_quant_conv
    ? conv2d(g, latents, 'post_quant_conv', { outChannels: config.latent_channels, kernel: 1 })
    : latents;
  hidden = conv2d(g, hidden, 'decoder.conv_in', { outChannels: first });

  hidden = resnetBlock2d(g, hidden, 'decoder.mid_block.resnets.0', { outChannels: first, ...norm });
  if (config.mid_block_add_attention) hidden = midAttention(g, hidden, 'decoder.mid_block.attentions.0', norm);
  hidden = resnetBlock2d(g, hidden, 'decoder.mid_block.resnets.1', { outChannels: first, ...norm });

  for (const [block, outChannels] of channels.entries()) {
    for (let layer = 0; layer <= config.layers_per_block; layer++) {
      hidden = resnetBlock2d(g, hidden, `decoder.up_blocks.${block}.resnets.${layer}`, { outChannels, ...norm });
    }
    if (block < channels.length - 1) hidden = upsample2d(g, hidden, `decoder.up_blocks.${block}.upsamplers.0`);
  }
  hidden = activatedGroupNorm(g, hidden, 'decoder.conv_norm_out', { ...norm, activation: 'silu' });
  hidden = conv2d(g, hidden, 'decoder.conv_out', { outChannels: config.out_channels });
  g.output('sample', hidden, [1, config.out_channels, 'image_height', 'image_width']);
  return g.build('AutoencoderKLDecoder');
}

/** One head over all channels. @param x [1, C, h, w] @returns the same shape */
function midAttention(
  g: GraphBuilder,
  x: Value,
  prefix: string,
  norm: { readonly groups: number; readonly epsilon: number },
): Value {
  const { tokens, restore } = toTokens(g, groupNorm(g, x, `${prefix}.group_norm`, norm)); // [1, h·w, C]
  return add(g, restore(attention(g, tokens, prefix, { heads: 1, qkvBias: true })), x);
}

/** Source: diffusers models/modeling_utils.py, _convert_deprecated_attention_blocks. */
const OLD_ATTENTION_NAMES: Readonly<Record<string, string>> = {
  query: 'to_q',
  key: 'to_k',
  value: 'to_v',
  proj_attn: 'to_out.0',
};

export const AUTOENCODER_KL: NetworkClass<AutoencoderKlConfig> = {
  className: 'AutoencoderKL',
  rules: AUTOENCODER_KL_RULES,
  weightsBaseName: 'diffusion_pytorch_model',
  /** The attention was saved as `query key value proj_attn` before diffusers 0.13. */
  tensorName: (stored) =>
    stored.replace(
      /\.(query|key|value|proj_attn)\.(weight|bias)$/,
      (_, old: string, kind: string) => `.${OLD_ATTENTION_NAMES[old]}.${kind}`,
    ),
  computeType: ({ force_upcast: overflows }, wanted) => (overflows && wanted === 'float16' ? 'float32' : wanted),
  build: buildDecoder,
};
