/** How much one key, and everybody together, may ask for. */
import type { PromptLimits } from '../../job/limits.ts';

/** Of one key; undefined: as the server has it for all. */
export interface KeyLimits {
  /** Jobs of the key that wait. */
  readonly maxPending?: number;
  /** Jobs of the key that wait or run. */
  readonly maxOpen?: number;
  /** Images of one request. */
  readonly maxImages?: number;
  /** Pixels of one image. */
  readonly maxPixels?: number;
}

/** Of the whole server. */
export interface FrontLimits extends PromptLimits {
  /** Jobs of all that wait. More is 429. */
  readonly maxQueueLength: number;
  /** Jobs that requests of this process wait for at a time. More is 503. */
  readonly maxWaiting: number;
  /** Open jobs of a key whose line has no limit; undefined: as many as the queue takes. */
  readonly maxOpenPerKey?: number | undefined;
  /** Prompts in one request. */
  readonly maxPrompts: number;
}

/** The limits of one request: the server's, or the key's where they are smaller. */
export function limitsFor(all: PromptLimits, key: KeyLimits | undefined): PromptLimits {
  return {
    ...all,
    maxImages: Math.min(all.maxImages, key?.maxImages ?? Infinity),
    maxPixels: Math.min(all.maxPixels, key?.maxPixels ?? Infinity),
  };
}
