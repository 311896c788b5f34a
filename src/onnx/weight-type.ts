/** How a network may hold the weights of its linear layers. This file is small, because a process that only starts others reads it too. */

/** `int8`: 8 bits. Convolutions, norms, biases and time embeddings keep floating-point numbers. */
export const WEIGHT_TYPES = ['float', 'int8'] as const;
export type WeightType = (typeof WEIGHT_TYPES)[number];
