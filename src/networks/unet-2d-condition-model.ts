/**
 * The denoising network: latents, a timestep and the prompt's embeddings in, the predicted noise (or velocity) out.
 * Source: diffusers models/unets/unet_2d_condition.py, UNet2DConditionModel.forward.
 */
import { type BuiltGraph, GraphBuilder, type Value } from '../onnx/graph.ts';
import { activate, add, conv2d, groupNorm, multiply } from './layers/primitives.ts';
import type { NetworkBuild, NetworkClass } from './network-class.ts';
import { type BlockPlan, UNetBlocks } from './unet-2d-blocks.ts';
import { attends, type UNet2DConditionConfig, type UNetBlock, unetBlocks } from './unet-2d-condition-config.ts';
import { UNET_2D_CONDITION_RULES } from './unet-2d-condition-rules.ts';
import { embedTime } from './unet-2d-time-embedding.ts';

const DEFAULT_SIZES = { batch: 1, height: 64, width: 64, tokens: 77 };

/**
 * Inputs: `sample` [B, C, h, w], `timestep` [1], `encoder_hidden_states` [B, T, D]; output: `out_sample` [B, C', h, w]; all float32. With
 * `addition_embed_type` "text_time" also `text_embeds` [B, P] and `time_ids` [B, 6]; with `time_cond_proj_dim` also `timestep_cond` [B, that].
 * @throws `missing_tensor`, `wrong_tensor_shape`
 */
function buildUNet({ config, weights, computeType, sizes }: NetworkBuild<UNet2DConditionConfig>): BuiltGraph {
  const nominal = { ...DEFAULT_SIZES, ...sizes };
  const g = new GraphBuilder(weights, computeType);
  const blocks = unetBlocks(config);
  const plans = blocks.map((block) => planOf(block, 'down'));
  const contextFeatures = promptFeatures(config);
  const latentShape = [nominal.batch, config.in_channels, nominal.height, nominal.width];
  const sample = g.input('sample', 'float32', ['batch', config.in_channels, 'height', 'width'], latentShape);
  const timestep = g.input('timestep', 'float32', [1], [1]);
  const contextShape = [nominal.batch, nominal.tokens, contextFeatures];
  const context = g.input('encoder_hidden_states', 'float32', ['batch', 'tokens', contextFeatures], contextShape);

  const time = embedTime(g, { config, timestep, batch: nominal.batch });
  const network = new UNetBlocks(g, config, time, g.cast(context, g.graphType));
  const skips: Value[] = [];
  let hidden = conv2d(g, centred(g, g.cast(sample, g.graphType), config), 'conv_in', {
    outChannels: plans[0]?.channels ?? 0,
    kernel: config.conv_in_kernel,
  });
  skips.push(hidden);
  for (const [index, plan] of plans.entries()) {
    hidden = network.downBlock(hidden, `down_blocks.${index}`, plan, { isLast: index === plans.length - 1, skips });
  }
  if (config.mid_block_type !== null) hidden = network.midBlock(hidden, 'mid_block', plans.at(-1) as BlockPlan);
  for (const [index, plan] of upwardPlans(blocks).entries()) {
    hidden = network.upBlock(hidden, `up_blocks.${index}`, plan, { isLast: index === plans.length - 1, skips });
  }
  const normal = groupNorm(g, hidden, 'conv_norm_out', { groups: config.norm_num_groups, epsilon: config.norm_eps });
  const result = conv2d(g, activate(g, normal, config.act_fn), 'conv_out', {
    outChannels: config.out_channels,
    kernel: config.conv_out_kernel,
  });
  g.output('out_sample', result, ['batch', config.out_channels, 'height', 'width']);
  return g.build('UNet2DConditionModel');
}

function centred(g: GraphBuilder, sample: Value, config: UNet2DConditionConfig): Value {
  if (!config.center_input_sample) return sample;
  return add(g, multiply(g, sample, g.constant([2], [1])), g.constant([-1], [1]));
}

/** How wide the prompt's embeddings are, as the blocks that attend to them say it. */
function promptFeatures(config: UNet2DConditionConfig): number {
  const blocks = unetBlocks(config);
  const attending = blocks.find((block, index) => attends(block, index, config));
  return (attending ?? blocks[0])?.contextFeatures ?? 0;
}

function planOf(block: UNetBlock, half: 'down' | 'up'): BlockPlan {
  return {
    ...block,
    crossAttention: block.crossAttention[half],
    transformerLayers: block.transformerLayers[half],
  };
}

/** The way up mirrors the way down, with one more layer in each block. */
function upwardPlans(blocks: readonly UNetBlock[]): BlockPlan[] {
  return blocks.toReversed().map((block) => ({ ...planOf(block, 'up'), layers: block.layers + 1 }));
}

export const UNET_2D_CONDITION_MODEL: NetworkClass<UNet2DConditionConfig> = {
  className: 'UNet2DConditionModel',
  rules: UNET_2D_CONDITION_RULES,
  weightsBaseName: 'diffusion_pytorch_model',
  tensorName: (stored) => stored,
  computeType: (_, wanted) => wanted,
  build: buildUNet,
};
