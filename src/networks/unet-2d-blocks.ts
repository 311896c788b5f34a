/**
 * Writes the blocks of the UNet: down, middle and up.
 * Source: diffusers models/unets/unet_2d_blocks.py.
 */
import type { GraphBuilder, Value } from '../onnx/graph.ts';
import { concat } from './layers/primitives.ts';
import { downsample2d, resnetBlock2d, upsample2d } from './layers/resnet-block-2d.ts';
import { transformer2d } from './layers/transformer-2d.ts';
import type { UNet2DConditionConfig, UNetBlock } from './unet-2d-condition-config.ts';

/** One block of the way down or up. */
export interface BlockPlan extends Omit<UNetBlock, 'crossAttention' | 'transformerLayers'> {
  readonly crossAttention: boolean;
  readonly transformerLayers: UNetBlock['transformerLayers']['down'];
}

interface BlockContext {
  readonly isLast: boolean;
  /** Feature maps of the way down, taken back in reverse order on the way up. */
  readonly skips: Value[];
}

interface UpContext extends BlockContext {
  /** The layer to begin with; absent: the first. */
  readonly from?: number;
  /** Called with what enters each layer. */
  readonly onEntry?: (layer: number, hidden: Value) => void;
}

export class UNetBlocks {
  readonly #g: GraphBuilder;
  readonly #config: UNet2DConditionConfig;
  /** The activated time embedding, [1, E] or [B, E]. */
  readonly #time: Value;
  /** [B, T, D]; absent where no layer attends to it. */
  readonly #context: Value | undefined;

  constructor(g: GraphBuilder, config: UNet2DConditionConfig, time: Value, context: Value | undefined) {
    this.#g = g;
    this.#config = config;
    this.#time = time;
    this.#context = context;
  }

  downBlock(x: Value, prefix: string, plan: BlockPlan, { isLast, skips }: BlockContext): Value {
    let hidden = x;
    for (let layer = 0; layer < plan.layers; layer++) {
      hidden = this.#resnet(hidden, `${prefix}.resnets.${layer}`, plan.channels);
      if (plan.crossAttention) hidden = this.#transformer(hidden, `${prefix}.attentions.${layer}`, plan, layer);
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
    if (this.#config.mid_block_type === 'UNetMidBlock2D') return hidden;
    hidden = this.#transformer(hidden, `${prefix}.attentions.0`, { ...plan, onlyCrossAttention: false }, 0);
    return this.#resnet(hidden, `${prefix}.resnets.1`, plan.channels, scale);
  }

  upBlock(x: Value, prefix: string, plan: BlockPlan, { isLast, skips, from = 0, onEntry }: UpContext): Value {
    let hidden = x;
    for (let layer = from; layer < plan.layers; layer++) {
      onEntry?.(layer, hidden);
      hidden = concat(this.#g, [hidden, skips.pop() as Value], 1);
      hidden = this.#resnet(hidden, `${prefix}.resnets.${layer}`, plan.channels);
      if (plan.crossAttention) hidden = this.#transformer(hidden, `${prefix}.attentions.${layer}`, plan, layer);
    }
    // The next skip's size, not simply the double: sizes that the way down does not divide come back as they were.
    return isLast ? hidden : upsample2d(this.#g, hidden, `${prefix}.upsamplers.0`, skips.at(-1));
  }

  #resnet(x: Value, prefix: string, outChannels: number, outputScaleFactor = 1): Value {
    const { norm_num_groups: groups, norm_eps: epsilon, act_fn: activation } = this.#config;
    return resnetBlock2d(this.#g, x, prefix, {
      outChannels,
      groups,
      epsilon,
      activation,
      timeScaleShift: this.#config.resnet_time_scale_shift === 'scale_shift',
      activatedTimeEmbedding: this.#time,
      outputScaleFactor,
    });
  }

  #transformer(x: Value, prefix: string, plan: BlockPlan, layer: number): Value {
    const { transformerLayers: depths } = plan;
    return transformer2d(this.#g, x, prefix, {
      heads: plan.heads,
      groups: this.#config.norm_num_groups,
      layers: typeof depths === 'number' ? depths : (depths[layer] ?? 0),
      useLinearProjection: this.#config.use_linear_projection,
      onlyCrossAttention: plan.onlyCrossAttention,
      // Where it is absent, no transformer has layers.
      encoderHiddenStates: this.#context as Value,
    });
  }
}
