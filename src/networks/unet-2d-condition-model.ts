/**
 * The denoising network: latents, a timestep and the prompt's embeddings in, the predicted noise (or velocity) out.
 * Source: diffusers models/unets/unet_2d_condition.py, UNet2DConditionModel.forward.
 */
import { type BuiltGraph, type Dimension, GraphBuilder, type Value } from '../onnx/graph.ts';
import { activatedGroupNorm, rowPerImage } from './layers/norms.ts';
import { add, conv2d, multiply } from './layers/primitives.ts';
import type { NetworkBuild, NetworkClass } from './network-class.ts';
import { type BlockPlan, UNetBlocks } from './unet-2d-blocks.ts';
import { branchAt, DEFAULT_BRANCH, featureSide, shallowReadsPrompt } from './unet-2d-branches.ts';
import { attends, type UNet2DConditionConfig, type UNetBlock, unetBlocks } from './unet-2d-condition-config.ts';
import { UNET_2D_CONDITION_RULES } from './unet-2d-condition-rules.ts';
import { embedTime } from './unet-2d-time-embedding.ts';

const DEFAULT_SIZES = { batch: 1, height: 64, width: 64, tokens: 77 };

/**
 * Inputs: `sample` [B, C, h, w], `timestep` [1], `encoder_hidden_states` [B, T, D]; output: `out_sample` [B, C', h, w]; all float32. With
 * `addition_embed_type` "text_time" also `text_embeds` [B, P] and `time_ids` [B, 6]; with `time_cond_proj_dim` also `timestep_cond` [B, that].
 * The output `feature` [B, F, h', w'] is the result of the deep blocks, which the shallow graph of the same branch takes.
 * @throws `missing_tensor`, `wrong_tensor_shape`
 */
function buildUNet(options: NetworkBuild<UNet2DConditionConfig>): BuiltGraph {
  const { config, branch = DEFAULT_BRANCH } = options;
  const { g, network, sample, blocks } = beginUNet(options);
  const plans = blocks.map((block) => planOf(block, 'down'));
  const entry = branchAt(config, branch);
  const skips: Value[] = [];
  let hidden = convolveIn(g, sample, options, skips);
  for (const [index, plan] of plans.entries()) {
    hidden = network.downBlock(hidden, `down_blocks.${index}`, plan, { isLast: index === plans.length - 1, skips });
  }
  if (config.mid_block_type !== null) hidden = network.midBlock(hidden, 'mid_block', plans.at(-1) as BlockPlan);
  let feature: Value | undefined;
  for (const [index, plan] of upwardPlans(blocks).entries()) {
    const isLast = index === plans.length - 1;
    const block = plans.length - 1 - index;
    const onEntry = (layer: number, entering: Value): void => {
      if (block === entry.block && plan.layers - 1 - layer === entry.layer) feature = entering;
    };
    hidden = network.upBlock(hidden, `up_blocks.${index}`, plan, { isLast, skips, onEntry });
  }
  convolveOut(g, hidden, config);
  if (feature !== undefined) g.output('feature', feature, featureDimensions(feature.shape[1] as number));
  return g.build('UNet2DConditionModel');
}

/**
 * The blocks between the latents and a branch, and the way back. The result of the deep blocks comes from an earlier pass. Inputs and outputs are
 * those of the whole graph, but `feature` is an input. `encoder_hidden_states` is none where `shallowReadsPrompt` says so.
 * @throws `missing_tensor`, `wrong_tensor_shape`
 */
function buildShallowUNet(options: NetworkBuild<UNet2DConditionConfig>): BuiltGraph {
  const { config, branch = DEFAULT_BRANCH } = options;
  const { g, network, sample, blocks, sizes } = beginUNet(options, shallowReadsPrompt(config, branch));
  const entry = branchAt(config, branch);
  const sides = [sizes.height, sizes.width].map((side) => featureSide(side, entry.block));
  const featureShape = [sizes.batch, entry.channels, ...sides];
  const feature = g.input('feature', 'float32', featureDimensions(entry.channels), featureShape);
  const skips: Value[] = [];
  let down = convolveIn(g, sample, options, skips);
  for (const [index, block] of blocks.slice(0, entry.block + 1).entries()) {
    const isEntered = index === entry.block;
    const plan = planOf(block, 'down');
    const layers = isEntered ? entry.layer : plan.layers;
    down = network.downBlock(down, `down_blocks.${index}`, { ...plan, layers }, { isLast: isEntered, skips });
  }
  let hidden = g.cast(feature, g.graphType);
  const plans = upwardPlans(blocks);
  for (let block = entry.block; block >= 0; block--) {
    const index = plans.length - 1 - block;
    const plan = plans[index] as BlockPlan;
    const from = block === entry.block ? plan.layers - 1 - entry.layer : 0;
    hidden = network.upBlock(hidden, `up_blocks.${index}`, plan, { isLast: block === 0, skips, from });
  }
  convolveOut(g, hidden, config);
  return g.build('UNet2DConditionModel');
}

interface Beginning {
  readonly g: GraphBuilder;
  readonly network: UNetBlocks;
  readonly sample: Value;
  readonly blocks: readonly UNetBlock[];
  readonly sizes: typeof DEFAULT_SIZES;
}

/** The inputs and the time embedding. */
function beginUNet(
  { config, weights, computeType, weightType, form, fusedDomain, sizes }: NetworkBuild<UNet2DConditionConfig>,
  readsPrompt = true,
): Beginning {
  const nominal = { ...DEFAULT_SIZES, ...sizes };
  const g = new GraphBuilder(weights, computeType, { weightType, form, fusedDomain });
  const contextFeatures = promptFeatures(config);
  const latentShape = [nominal.batch, config.in_channels, nominal.height, nominal.width];
  const sample = g.input('sample', 'float32', ['batch', config.in_channels, 'height', 'width'], latentShape);
  const timestep = g.input('timestep', 'float32', [1], [1]);
  const contextShape = [nominal.batch, nominal.tokens, contextFeatures];
  const context = readsPrompt
    ? g.input('encoder_hidden_states', 'float32', ['batch', 'tokens', contextFeatures], contextShape)
    : undefined;
  const time = rowPerImage(g, embedTime(g, { config, timestep, batch: nominal.batch }), sample);
  const network = new UNetBlocks(g, config, time, context && g.cast(context, g.graphType));
  return { g, network, sample, blocks: unetBlocks(config), sizes: nominal };
}

function convolveIn(
  g: GraphBuilder,
  sample: Value,
  { config }: NetworkBuild<UNet2DConditionConfig>,
  skips: Value[],
): Value {
  const hidden = conv2d(g, centred(g, g.cast(sample, g.graphType), config), 'conv_in', {
    outChannels: config.block_out_channels[0] ?? 0,
    kernel: config.conv_in_kernel,
  });
  skips.push(hidden);
  return hidden;
}

function convolveOut(g: GraphBuilder, hidden: Value, config: UNet2DConditionConfig): void {
  const { norm_num_groups: groups, norm_eps: epsilon, act_fn: activation } = config;
  const normal = activatedGroupNorm(g, hidden, 'conv_norm_out', { groups, epsilon, activation });
  const result = conv2d(g, normal, 'conv_out', {
    outChannels: config.out_channels,
    kernel: config.conv_out_kernel,
  });
  g.output('out_sample', result, ['batch', config.out_channels, 'height', 'width']);
}

function featureDimensions(channels: number): readonly Dimension[] {
  return ['batch', channels, 'feature_height', 'feature_width'];
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
  moreGraphs: { whole: { build: buildUNet }, shallow: { build: buildShallowUNet } },
};
