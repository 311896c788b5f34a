/** Translates old tensor names to today's, so that the networks know one set of names. */
import type { Weights } from '../onnx/weights.ts';

/** `weights` under the names that `translate` gives to the stored ones. */
function renamed(weights: Weights, translate: (stored: string) => string): Weights {
  const stored = new Map<string, string>();
  for (const name of weights.names()) stored.set(translate(name), name);
  return {
    component: weights.component,
    names: () => stored.keys(),
    has: (name) => stored.has(name),
    place: (name) => weights.place(stored.get(name) ?? name),
    smallTensor: (name) => weights.smallTensor(stored.get(name) ?? name),
  };
}

/** Newer savers of transformers omit the `text_model.` prefix. */
export function textEncoderWeights(weights: Weights): Weights {
  return renamed(weights, (name) => name.replace(/^text_model\./, ''));
}

/** Source: diffusers models/modeling_utils.py, _convert_deprecated_attention_blocks. */
const OLD_ATTENTION_NAMES: Readonly<Record<string, string>> = {
  query: 'to_q',
  key: 'to_k',
  value: 'to_v',
  proj_attn: 'to_out.0',
};

/** The autoencoder's attention was saved as `query key value proj_attn` before diffusers 0.13. */
export function autoencoderWeights(weights: Weights): Weights {
  return renamed(weights, (name) =>
    name.replace(
      /\.(query|key|value|proj_attn)\.(weight|bias)$/,
      (_, old: string, kind: string) => `.${OLD_ATTENTION_NAMES[old]}.${kind}`,
    ),
  );
}
