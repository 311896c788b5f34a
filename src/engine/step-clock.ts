/** Measures a job's passes to say when it will be done. Steps would not do: a scheduler may need more passes for some of them than for others. */

export class StepClock {
  readonly #now: () => number;
  #lastMs: number | undefined;
  #first: { readonly pass: number; readonly atMs: number } | undefined;
  #pass = 0;
  #passes = 0;

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** Notes a sign of progress; returns the milliseconds since the one before. */
  tick(pass: number, passes: number): number {
    const nowMs = this.#now();
    const sinceMs = this.#lastMs === undefined ? 0 : nowMs - this.#lastMs;
    this.#lastMs = nowMs;
    this.#pass = pass;
    this.#passes = passes;
    this.#first ??= { pass, atMs: nowMs };
    return sinceMs;
  }

  /** Undefined until there are two passes to measure between. */
  remainingMs(): number | undefined {
    const first = this.#first;
    if (first === undefined || this.#lastMs === undefined || this.#pass === first.pass) return undefined;
    const perPassMs = (this.#lastMs - first.atMs) / (this.#pass - first.pass);
    return perPassMs * (this.#passes - this.#pass);
  }
}
