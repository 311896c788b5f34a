/** Activation functions as configurations name them. Source: diffusers models/activations.py, get_activation. */
export const ACTIVATIONS = ['silu', 'swish', 'mish', 'gelu', 'relu'] as const;
export type Activation = (typeof ACTIVATIONS)[number];
