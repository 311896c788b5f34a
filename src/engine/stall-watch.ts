/** Ends an engine that shows no sign of life: how long that may take follows from what it has shown before. */
import { Text2ImgError } from '../errors/text2img-error.ts';

export interface StallLimits {
  /** The shortest silence that counts as a stall; a slow model may be silent for ten of its slowest steps. */
  readonly stallMs?: number;
  /** The longest that loading may take; from the second load on no more than ten times what the one before took, or five minutes. */
  readonly maxLoadMs?: number;
}

const DEFAULT_STALL_MS = 5 * 60_000;
const MAX_FIRST_LOAD_MS = 30 * 60_000;
const STALL_STEPS = 10;

export class StallWatch {
  readonly #limits: StallLimits;
  #slowestStepMs = 0;
  #lastLoadMs: number | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(limits: StallLimits) {
    this.#limits = limits;
  }

  sawStep(stepMs: number): void {
    this.#slowestStepMs = Math.max(this.#slowestStepMs, stepMs);
  }

  sawLoad(loadMs: number): void {
    this.#lastLoadMs = loadMs;
  }

  /** A sign of life: the wait begins anew. @param onStall is called once, unless the next sign or `stop` comes before */
  restart(during: 'load' | 'step', onStall: (reason: Text2ImgError) => void): void {
    this.stop();
    const limitMs = during === 'step' ? this.#stepLimitMs() : this.#loadLimitMs();
    const what = during === 'step' ? 'made no progress' : 'was not done with loading the model';
    const sentence = `the engine ${what} for ${(limitMs / 1000).toFixed(1)} s and was ended.`;
    this.#timer = setTimeout(() => onStall(new Text2ImgError('engine_stalled', sentence)), limitMs);
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  #stepLimitMs(): number {
    return Math.max(this.#limits.stallMs ?? DEFAULT_STALL_MS, STALL_STEPS * this.#slowestStepMs);
  }

  #loadLimitMs(): number {
    const { maxLoadMs = MAX_FIRST_LOAD_MS } = this.#limits;
    if (this.#lastLoadMs === undefined) return maxLoadMs;
    return Math.min(maxLoadMs, Math.max(DEFAULT_STALL_MS, STALL_STEPS * this.#lastLoadMs));
  }
}
