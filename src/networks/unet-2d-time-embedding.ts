/**
 * The UNet's time embedding, which every residual block reads. It holds the timestep. Where the configuration has them, it also holds the guidance
 * scale's embedding, and XL's sizes and pooled prompt.
 * Source: diffusers models/unets/unet_2d_condition.py, get_time_embed, get_aug_embed; models/embeddings.py, TimestepEmbedding.
 */
import type { GraphBuilder, Value } from '../onnx/graph.ts';
import { activate, add, concat, linear } from './layers/primitives.ts';
import { timestepEmbedding, timestepProjection } from './layers/timestep-embedding.ts';
import { pooledFeatures, TIME_IDS, type UNet2DConditionConfig } from './unet-2d-condition-config.ts';

interface TimeInputs {
  readonly config: UNet2DConditionConfig;
  /** [1], float32 */
  readonly timestep: Value;
  /** Nominal. */
  readonly batch: number;
}

/** @returns the activated embedding, [1, E], or [B, E] where it differs between the images of a batch */
export function embedTime(g: GraphBuilder, inputs: TimeInputs): Value {
  const { config, timestep } = inputs;
  const channels = config.block_out_channels[0] ?? 0;
  const outFeatures = channels * 4;
  const { act_fn: activation } = config;
  const projected = timestepProjection(g, timestep, { channels, ...frequencies(config) });
  const conditioned = withGuidance(g, projected, inputs);
  const time = timestepEmbedding(g, conditioned, 'time_embedding', { outFeatures, activation });
  return activate(g, withSizes(g, time, inputs), activation);
}

const frequencies = (
  config: UNet2DConditionConfig,
): { readonly flipSinToCos: boolean; readonly freqShift: number } => ({
  flipSinToCos: config.flip_sin_to_cos,
  freqShift: config.freq_shift,
});

/** Latent consistency models. @param projected [1, C] @returns [B, C] */
function withGuidance(g: GraphBuilder, projected: Value, { config, batch }: TimeInputs): Value {
  const { time_cond_proj_dim: width } = config;
  if (typeof width !== 'number') return projected;
  const condition = g.input('timestep_cond', 'float32', ['batch', width], [batch, width]);
  const outFeatures = projected.shape.at(-1) ?? 0;
  const layer = { outFeatures, bias: false, keepsFloat: true } as const;
  const own = linear(g, g.cast(condition, g.graphType), 'time_embedding.cond_proj', layer);
  return add(g, own, projected);
}

/** XL. @param time [1, E] or [B, E] @returns [B, E] */
function withSizes(g: GraphBuilder, time: Value, { config, batch }: TimeInputs): Value {
  const pooled = pooledFeatures(config);
  if (pooled === undefined) return time;
  const channels = config.addition_time_embed_dim ?? 0;
  const text = g.input('text_embeds', 'float32', ['batch', pooled], [batch, pooled]);
  const ids = g.input('time_ids', 'float32', ['batch', TIME_IDS], [batch, TIME_IDS]);
  const each = g.node('Reshape', [ids, g.integers([0, TIME_IDS, 1])], { shape: [batch, TIME_IDS, 1] });
  const projected = timestepProjection(g, each, { channels, ...frequencies(config) }); // [B, 6, channels]
  const sizes = g.node('Reshape', [projected, g.integers([0, TIME_IDS * channels])], {
    shape: [batch, TIME_IDS * channels],
  });
  const both = concat(g, [g.cast(text, g.graphType), sizes], 1);
  // The configuration's `act_fn` is not for this one.
  const added = timestepEmbedding(g, both, 'add_embedding', { outFeatures: time.shape.at(-1) ?? 0 });
  return add(g, time, added);
}
