/** How an attention hides later tokens from earlier ones. */
import type { GraphBuilder, Value } from '../../onnx/graph.ts';

export interface CausalMask {
  /** Added to the scores, [1, 1, T, T]. */
  readonly bias?: Value;
  /** The operator's own mask. */
  readonly unidirectional?: true;
}

/** On CUDA an attention with a bias takes the slow kernel for prompts of 77 tokens, so the fused form sets the operator's attribute. */
export function causalMask(g: GraphBuilder, tokens: number): CausalMask {
  if (g.form === 'fused') return { unidirectional: true };
  // The largest negative number that float16 holds: after softmax it is zero in either precision.
  const mask = Array.from({ length: tokens * tokens }, (_, index) =>
    index % tokens > Math.floor(index / tokens) ? -65504 : 0,
  );
  return { bias: g.constant(mask, [1, 1, tokens, tokens]) };
}
