/**
 * The configurations of CLIPTextModel and CLIPTextModelWithProjection.
 * Source: transformers models/clip/configuration_clip.py, CLIPTextConfig (keys and defaults).
 */
import { z } from 'zod';
import { type ConfigRules, count, normEpsilon, wholeFrom } from '../lib/config-rules.ts';

/** The mask has the square of it in numbers. CLIP reads 77, LongCLIP 248. */
const MAX_POSITIONS = 2048;

const schema = z.object({
  vocab_size: count.default(49408),
  hidden_size: count.default(512),
  intermediate_size: count.default(2048),
  num_hidden_layers: count.default(12),
  num_attention_heads: count.default(8),
  max_position_embeddings: wholeFrom(2, MAX_POSITIONS).default(77),
  hidden_act: z.enum(['quick_gelu', 'gelu']).default('quick_gelu'),
  layer_norm_eps: normEpsilon.default(1e-5),
});

const projectionSchema = schema.extend({
  projection_dim: count.default(512),
  // Its place in the prompt is the place of the pooled output.
  eos_token_id: wholeFrom(0, 1_000_000).default(49407),
});

export type ClipTextConfig = z.infer<typeof schema>;
export type ClipTextProjectionConfig = z.infer<typeof projectionSchema>;

/** Keys of transformers' PretrainedConfig describe training, generation or bookkeeping; none changes the encoder's output. */
const BOOKKEEPING = 'bookkeeping of transformers';
const GENERATION = 'text generation only';

const WITHOUT_EFFECT = {
  architectures: BOOKKEEPING,
  model_type: BOOKKEEPING,
  dtype: 'the weights say their own type',
  torch_dtype: 'the weights say their own type',
  transformers_version: BOOKKEEPING,
  attention_dropout: 'training only',
  dropout: 'training only',
  initializer_factor: 'training only',
  initializer_range: 'training only',
  gradient_checkpointing: 'training only',
  bos_token_id: 'the tokenizer says it',
  pad_token_id: 'the tokenizer says it',
  output_attentions: 'extra outputs only',
  output_hidden_states: 'extra outputs only',
  return_dict: BOOKKEEPING,
  use_return_dict: BOOKKEEPING,
  torchscript: BOOKKEEPING,
  use_bfloat16: BOOKKEEPING,
  use_cache: GENERATION,
  is_decoder: GENERATION,
  is_encoder_decoder: GENERATION,
  chunk_size_feed_forward: 'the same result in pieces',
  problem_type: BOOKKEEPING,
  id2label: BOOKKEEPING,
  label2id: BOOKKEEPING,
  tie_word_embeddings: BOOKKEEPING,
  pruned_heads: BOOKKEEPING,
};

function contradiction({ hidden_size: width, num_attention_heads: heads }: ClipTextConfig): string | undefined {
  if (width % heads === 0) return undefined;
  return `"num_attention_heads" is ${heads}, which does not divide "hidden_size", ${width}`;
}

export const CLIP_TEXT_RULES: ConfigRules<ClipTextConfig> = {
  implemented: schema,
  implementedKeys: Object.keys(schema.shape),
  withoutEffect: {
    ...WITHOUT_EFFECT,
    projection_dim: 'read only by CLIPTextModelWithProjection',
    eos_token_id: 'picks the pooled output, which only CLIPTextModelWithProjection has',
  },
  onlyDefault: {},
  contradiction,
};

export const CLIP_TEXT_PROJECTION_RULES: ConfigRules<ClipTextProjectionConfig> = {
  implemented: projectionSchema,
  implementedKeys: Object.keys(projectionSchema.shape),
  withoutEffect: WITHOUT_EFFECT,
  onlyDefault: {},
  contradiction,
};
