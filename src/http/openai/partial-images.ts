/** Which previews a stream shows: of a job's steps, n at even places. */

interface Place {
  readonly step: number;
  readonly steps: number;
}

export class PartialImages {
  readonly #count: number;
  #shown = 0;
  /** Places that are passed. One preview may pass several: then there are fewer. */
  #passed = 0;

  constructor(count: number) {
    this.#count = count;
  }

  /** @returns the preview's index in the stream, from 0; undefined where it is not shown */
  take({ step, steps }: Place): number | undefined {
    const passed = Math.min(this.#count, Math.floor((step * (this.#count + 1)) / steps));
    if (steps <= 0 || step >= steps || passed <= this.#passed) return undefined;
    this.#passed = passed;
    return this.#shown++;
  }
}
