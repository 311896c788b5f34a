/** Measures a job's steps to say when it will be done. */

export class StepClock {
  readonly #now: () => number;
  #lastMs: number | undefined;
  #firstStep: { readonly step: number; readonly atMs: number } | undefined;
  #step = 0;
  #steps = 0;

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** Notes a sign of progress; returns the milliseconds since the one before. */
  tick(step: number, steps: number): number {
    const nowMs = this.#now();
    const sinceMs = this.#lastMs === undefined ? 0 : nowMs - this.#lastMs;
    this.#lastMs = nowMs;
    this.#step = step;
    this.#steps = steps;
    this.#firstStep ??= { step, atMs: nowMs };
    return sinceMs;
  }

  /** Undefined until there are two steps to measure between. */
  remainingMs(): number | undefined {
    const first = this.#firstStep;
    if (first === undefined || this.#lastMs === undefined || this.#step === first.step) return undefined;
    const perStepMs = (this.#lastMs - first.atMs) / (this.#step - first.step);
    return perStepMs * (this.#steps - this.#step);
  }
}
