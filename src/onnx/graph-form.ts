/** The two forms of a network's graph (`docs/decisions/fused-form.md`). */

/**
 * `portable`: standard operators, feature maps with their channels first. It runs everywhere. `fused`: feature maps with their channels last, and
 * operators that do several steps at once. Only ONNX Runtime's CUDA provider has them.
 */
export type GraphForm = 'portable' | 'fused';

export const MICROSOFT_DOMAIN = 'com.microsoft';
/** The fused operators as functions of the model, made of standard operators. Any device runs them, slowly: for tests without a GPU. */
export const SPELLED_OUT_DOMAIN = 'text2img.fused';
export type FusedDomain = typeof MICROSOFT_DOMAIN | typeof SPELLED_OUT_DOMAIN;

export interface GraphStyle {
  /** Default: `portable`. */
  readonly form?: GraphForm | undefined;
  /** Where the fused operators come from; default: ONNX Runtime's own. */
  readonly fusedDomain?: FusedDomain | undefined;
}
