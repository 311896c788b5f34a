/** The precisions that networks compute in. This file is small, because a process that only starts others reads it too. */

/**
 * Precision of weights and arithmetic; graph inputs and outputs are always float32. A graph for `bfloat16` is written in float32, and the runtime
 * computes in less where it may: with the exponents of float32, nothing overflows.
 */
export const COMPUTE_TYPES = ['float32', 'float16', 'bfloat16'] as const;
export type ComputeType = (typeof COMPUTE_TYPES)[number];
