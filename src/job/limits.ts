/** How much one prompt document may ask for. The operator's limits; the defaults keep one document from taking the machine for a day. */

export interface PromptLimits {
  readonly maxSteps: number;
  /** Width × height. */
  readonly maxPixels: number;
  readonly maxImages: number;
  /** In UTF-8, of the prompt and of the negative prompt each. */
  readonly maxPromptBytes: number;
}

export const DEFAULT_LIMITS: PromptLimits = {
  maxSteps: 1000,
  maxPixels: 2048 * 2048,
  maxImages: 16,
  maxPromptBytes: 64 * 1024,
};

/** Of a value by itself: what an operator states, and what a message between processes may hold. */
export const NO_LIMITS: PromptLimits = {
  maxSteps: Infinity,
  maxPixels: Infinity,
  maxImages: Infinity,
  maxPromptBytes: Infinity,
};
