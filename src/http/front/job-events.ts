/** Turns the changes of a job since it was last read into events. */
import type { FollowedJob } from '../../queue/prompt-queue.ts';
import { endedJob } from './ended-job.ts';
import type { JobEvent, Preview } from './front.ts';

export class JobEvents {
  readonly #tell: (event: JobEvent) => void;
  readonly #id: string;
  #status: string | undefined;
  #step = -1;
  #previewStep = -1;
  #hasEnded = false;

  constructor(id: string, tell: (event: JobEvent) => void) {
    this.#id = id;
    this.#tell = tell;
  }

  read(job: FollowedJob): void {
    const { status, progress, ended } = job;
    if (this.#hasEnded) return;
    if (ended) {
      this.#hasEnded = true;
      return this.#tell({ type: status === 'completed' ? 'completed' : 'error', job: endedJob(job) });
    }
    if (status !== this.#status) {
      this.#status = status;
      this.#step = -1;
      this.#tell({ type: 'status', id: this.#id, status });
    }
    if (progress === undefined || progress.step === this.#step) return;
    this.#step = progress.step;
    this.#tell({ type: 'progress', id: this.#id, ...progress });
  }

  preview({ png, step, steps }: Preview): void {
    if (this.#hasEnded || step === this.#previewStep) return;
    this.#previewStep = step;
    this.#tell({ type: 'preview', id: this.#id, png, step, steps });
  }
}
