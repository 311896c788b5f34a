/** How long each stage of one job took. */
import type { JobDurations, JobStage } from '../job/stages.ts';

export class StageTimes {
  readonly #ms = new Map<JobStage, number>();

  add(stage: JobStage, ms: number): void {
    this.#ms.set(stage, (this.#ms.get(stage) ?? 0) + ms);
  }

  addAll(durations: JobDurations): void {
    for (const [stage, ms] of Object.entries(durations)) this.add(stage as JobStage, ms);
  }

  /** Counts also what ends with an error. */
  async measure<T>(stage: JobStage, act: () => Promise<T>): Promise<T> {
    const beganMs = performance.now();
    try {
      return await act();
    } finally {
      this.add(stage, performance.now() - beganMs);
    }
  }

  /** In whole milliseconds. */
  get durationsMs(): JobDurations {
    return Object.fromEntries(Array.from(this.#ms, ([stage, ms]) => [stage, Math.round(ms)]));
  }
}
