/**
 * The denoising network: latents, a timestep and the prompt's embeddings in, the predicted noise (or velocity) out.
 * Source: diffusers models/unets/unet_2d_condition.py and unet_2d_blocks.py.
 */
import { type BuiltGraph, GraphBuilder, type Value } from '../onnx/graph.ts';
import { add, concat, conv2d, groupNorm, multiply, silu } from './layers/primitives.ts';
import { downsample2d, resnetBlock2d, upsample2d } from './layers/resnet-block-2d.ts';
import { timestepEmbedding, timestepProjection } from './layers/timestep-embedding.ts';
import { transformer2d } from './layers/transformer-2d.ts';
import type { NetworkBuild, NetworkClass } from './network-class.ts';
import {
  attends,
  UNET_2D_CONDITION_RULES,
  type UNet2DConditionConfig,
  type UNetBlock,
  unetBlocks,
} from './unet-2d-condition-config.ts';

/** One block of the way down or up. */
interface BlockPlan extends Omit<UNetBlock, 'crossAttention'> {
  readonly crossAttention: boolean;
}

const DEFAULT_SIZES = { batch: 1, height: 64, width: 64, tokens: 77 };

/**
 * Inputs: `sample` [B, C, h, w], `timestep` [1], `encoder_hidden_states` [B, T, D]; output: `out_sample` [B, C', h, w]; all float32.
 * @throws `missing_tensor`, `wrong_tensor_shape`
 */
function buildUNet({ config, weights, computeType, sizes }: NetworkBuild<UNet2DConditionConfig>): BuiltGraph {
  const nominal = { ...DEFAULT_SIZES, ...sizes };
  const g = new GraphBuilder(weights, computeType);
  const blocks = unetBlocks(config);
  const plans = blocks.map((block) => ({ ...block, crossAttention: block.crossAttention.down }));
  const contextFeatures = promptFeatures(config);
  const latentShape = [nominal.batch, config.in_channels, nominal.height, nominal.width];
  const sample = g.input('sample', 'float32', ['batch', config.in_channels, 'height', 'width'], latentShape);
  const timestep = g.input('timestep', 'float32', [1], [1]);
  const contextShape = [nominal.batch, nominal.tokens, contextFeatures];
  const context = g.input('encoder_hidden_states', 'float32', ['batch', 'tokens', contextFeatures], contextShape);

  const network = new UNetWriter(g, config, embedTime(g, timestep, config), g.cast(context, computeType));
  const skips: Value[] = [];
  let hidden = conv2d(g, centred(g, g.cast(sample, computeType), config), 'conv_in', {
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
  const result = conv2d(g, silu(g, normal), 'conv_out', {
    outChannels: config.out_channels,
    kernel: config.conv_out_kernel,
  });
  g.output('out_sample', result, ['batch', config.out_channels, 'height', 'width']);
  return g.build('UNet2DConditionModel');
}

interface BlockContext {
  readonly isLast: boolean;
  /** Feature maps of the way down, taken back in reverse order on the way up. */
  readonly skips: Value[];
}

class UNetWriter {
  readonly #g: GraphBuilder;
  readonly #config: UNet2DConditionConfig;
  /** SiLU of the time embedding, which every residual block begins with, [1, E]. */
  readonly #time: Value;
  /** [B, T, D] */
  readonly #context: Value;

  constructor(g: GraphBuilder, config: UNet2DConditionConfig, time: Value, context: Value) {
    this.#g = g;
    this.#config = config;
    this.#time = time;
    this.#context = context;
  }

  downBlock(x: Value, prefix: string, plan: BlockPlan, { isLast, skips }: BlockContext): Value {
    let hidden = x;
    for (let layer = 0; layer < plan.layers; layer++) {
      hidden = this.#resnet(hidden, `${prefix}.resnets.${layer}`, plan.channels);
      if (plan.crossAttention) hidden = this.#transformer(hidden, `${prefix}.attentions.${layer}`, plan);
      skips.push(hidden);
    }
    if (!isLast) {
      hidden = downsample2d(this.#g, hidden, `${prefix}.downsamplers.0`, this.#config.downsample_padding);
      skips.push(hidden);
    }
    return hidden;
  }

  midBlock(x: Value, prefix: string, plan: BlockPlan): Value {
    const scale = this.#config.mid_block_scale_factor;
    let hidden = this.#resnet(x, `${prefix}.resnets.0`, plan.channels, scale);
    hidden = this.#transformer(hidden, `${prefix}.attentions.0`, { ...plan, onlyCrossAttention: false });
    return this.#resnet(hidden, `${prefix}.resnets.1`, plan.channels, scale);
  }

  upBlock(x: Value, prefix: string, plan: BlockPlan, { isLast, skips }: BlockContext): Value {
    let hidden = x;
    for (let layer = 0; layer < plan.layers; layer++) {
      hidden = concat(this.#g, [hidden, skips.pop() as Value], 1);
      hidden = this.#resnet(hidden, `${prefix}.resnets.${layer}`, plan.channels);
      if (plan.crossAttention) hidden = this.#transformer(hidden, `${prefix}.attentions.${layer}`, plan);
    }
    // The next skip's size, not simply the double: sizes that the way down does not divide come back as they were.
    return isLast ? hidden : upsample2d(this.#g, hidden, `${prefix}.upsamplers.0`, skips.at(-1));
  }

  #resnet(x: Value, prefix: string, outChannels: number, outputScaleFactor = 1): Value {
    const { norm_num_groups: groups, norm_eps: epsilon } = this.#config;
    return resnetBlock2d(this.#g, x, prefix, {
      outChannels,
      groups,
      epsilon,
      activatedTimeEmbedding: this.#time,
      outputScaleFactor,
    });
  }

  #transformer(x: Value, prefix: string, plan: BlockPlan): Value {
    return transformer2d(this.#g, x, prefix, {
      heads: plan.heads,
      groups: this.#config.norm_num_groups,
      layers: plan.transformerLayers,
      useLinearProjection: this.#config.use_linear_projection,
      onlyCrossAttention: plan.onlyCrossAttention,
      encoderHiddenStates: this.#context,
    });
  }
}

function embedTime(g: GraphBuilder, timestep: Value, config: UNet2DConditionConfig): Value {
  const channels = config.block_out_channels[0] ?? 0;
  const projected = timestepProjection(g, timestep, {
    channels,
    flipSinToCos: config.flip_sin_to_cos,
    freqShift: config.freq_shift,
  });
  return silu(g, timestepEmbedding(g, projected, 'time_embedding', channels * 4));
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

/** The way up mirrors the way down, with one more layer in each block. */
function upwardPlans(blocks: readonly UNetBlock[]): BlockPlan[] {
  return blocks
    .toReversed()
    .map((block) => ({ ...block, layers: block.layers + 1, crossAttention: block.crossAttention.up }));
}

export const UNET_2D_CONDITION_MODEL: NetworkClass<UNet2DConditionConfig> = {
  className: 'UNet2DConditionModel',
  rules: UNET_2D_CONDITION_RULES,
  weightsBaseName: 'diffusion_pytorch_model',
  tensorName: (stored) => stored,
  computeType: (_, wanted) => wanted,
  build: buildUNet,
};
