/** How long each stage of one job took. */
import { JOB_STAGES, type JobDurations, type JobStage } from '../job/stages.ts';
import { separated } from '../lib/letter-cases.ts';

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

  /** In whole milliseconds, in the order of the stages. */
  get durationsMs(): JobDurations {
    const known = JOB_STAGES.filter((stage) => this.#ms.has(stage));
    return Object.fromEntries(known.map((stage) => [stage, Math.round(this.#ms.get(stage) ?? 0)]));
  }

  /** The same, named as fields of a log line are. */
  get logFields(): Readonly<Record<string, number>> {
    const entries = Object.entries(this.durationsMs);
    return Object.fromEntries(entries.map(([stage, ms]) => [separated(stage, '_'), ms]));
  }
}
