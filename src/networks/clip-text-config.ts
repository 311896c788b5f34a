/**
 * The configuration of CLIPTextModel.
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

export type ClipTextConfig = z.infer<typeof schema>;

/** Keys of transformers' PretrainedConfig describe training, generation or bookkeeping; none changes the encoder's output. */
const BOOKKEEPING = 'bookkeeping of transformers';
const GENERATION = 'text generation only';

export const CLIP_TEXT_RULES: ConfigRules<ClipTextConfig> = {
  implemented: schema,
  implementedKeys: Object.keys(schema.shape),
  withoutEffect: {
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
    projection_dim: 'read only by CLIPTextModelWithProjection',
    bos_token_id: 'the tokenizer says it',
    eos_token_id: 'picks the pooled output, which Stable Diffusion 1.x does not use',
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
  },
  onlyDefault: {},
  contradiction: ({ hidden_size: width, num_attention_heads: heads }) =>
    width % heads === 0
      ? undefined
      : `"num_attention_heads" is ${heads}, which does not divide "hidden_size", ${width}`,
};
