/** One request that waits for its jobs: until all have ended, or until a reason not to wait any longer. */
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { quote } from '../../lib/foreign-text.ts';
import type { FollowedJob } from '../../queue/prompt-queue.ts';
import type { SideData } from '../../queue/side-data.ts';
import type { Caller } from './caller.ts';
import { endedJob } from './ended-job.ts';
import type { EndedJob, WaitOptions } from './front.ts';
import { JobEvents } from './job-events.ts';
import type { Waiter, Waiters } from './waiters.ts';

export interface WaitParts {
  readonly waiters: Waiters;
  readonly previews: SideData['previews'];
  /** Aborted: all waits end. */
  readonly ending: AbortSignal;
  /** Whether a living worker has the model; undefined: nobody knows. */
  readonly hasWorker: (model: string | undefined) => boolean | undefined;
  /** So long a job may wait for the first worker. */
  readonly noWorkerTimeoutMs: number;
  /** @throws `not_found` for a job that this caller must not see */
  readonly check: (job: FollowedJob) => void;
}

/** A document that was added a moment ago may not be there for a reader yet. */
const MISSING_MS = 2000;
const PREVIEW_MS = 1000;
const WORKER_LOOK_MS = 2000;

export interface WaitRequest extends Required<Pick<WaitOptions, 'timeoutMs'>>, Omit<WaitOptions, 'timeoutMs'> {
  readonly ids: readonly string[];
  readonly gone: Caller['gone'];
}

/** @throws `wait_timeout`, `no_worker`, `shutting_down`, `client_disconnected`, `deleted`, and what `check` throws */
export async function waitForJobs(request: WaitRequest, parts: WaitParts): Promise<readonly EndedJob[]> {
  using waiting = new WaitForJobs(request, parts);
  return await waiting.ended;
}

class WaitForJobs implements Waiter, Disposable {
  readonly ended: Promise<readonly EndedJob[]>;
  readonly isWatched: boolean;
  readonly #request: WaitRequest;
  readonly #parts: WaitParts;
  readonly #jobs = new Map<string, FollowedJob>();
  readonly #events: ReadonlyMap<string, JobEvents>;
  readonly #timers: NodeJS.Timeout[] = [];
  readonly #startMs = performance.now();
  readonly #resolve: (jobs: readonly EndedJob[]) => void;
  readonly #reject: (error: Text2ImgError) => void;
  readonly #leave = (): void =>
    this.#reject(new Text2ImgError('client_disconnected', 'The client closed the connection.'));
  readonly #giveUp = (): void =>
    this.#reject(
      new Text2ImgError('shutting_down', 'The server is shutting down; the job goes on. Send the request again.'),
    );

  constructor(request: WaitRequest, parts: WaitParts) {
    this.#request = request;
    this.#parts = parts;
    const { promise, resolve, reject } = Promise.withResolvers<readonly EndedJob[]>();
    this.ended = promise;
    this.#resolve = resolve;
    this.#reject = reject;
    const { ids, gone, timeoutMs, onEvent } = request;
    this.isWatched = onEvent !== undefined;
    this.#events = new Map(onEvent === undefined ? [] : ids.map((id) => [id, new JobEvents(id, onEvent)]));
    if (gone.aborted) this.#leave();
    else gone.addEventListener('abort', this.#leave, { once: true });
    if (parts.ending.aborted) this.#giveUp();
    else parts.ending.addEventListener('abort', this.#giveUp, { once: true });
    this.#timers.push(setTimeout(() => this.#timeOut(), timeoutMs));
    this.#timers.push(setInterval(() => this.#lookForWorkers(), WORKER_LOOK_MS));
    if (request.onEvent !== undefined && request.withPreviews === true)
      this.#timers.push(setInterval(() => void this.#lookForPreviews(), PREVIEW_MS));
    if (ids.length === 0) resolve([]);
    for (const id of ids) parts.waiters.add(id, this);
  }

  onRead(id: string, job: FollowedJob | undefined): void {
    if (job === undefined) {
      const wasThere = this.#jobs.has(id) || performance.now() - this.#startMs > MISSING_MS;
      if (wasThere) this.#reject(new Text2ImgError('deleted', `The job ${quote(id)} has been deleted.`));
      return;
    }
    try {
      this.#parts.check(job);
      this.#jobs.set(id, job);
      this.#events.get(id)?.read(job);
    } catch (error) {
      return this.#reject(Text2ImgError.from(error));
    }
    if (job.ended) this.#parts.waiters.delete(id, this);
    const jobs = this.#request.ids.map((one) => this.#jobs.get(one));
    if (jobs.every((one) => one?.ended === true))
      this.#resolve(jobs.flatMap((one) => (one === undefined ? [] : endedJob(one))));
  }

  [Symbol.dispose](): void {
    const { ids, gone } = this.#request;
    for (const timer of this.#timers) clearTimeout(timer);
    gone.removeEventListener('abort', this.#leave);
    this.#parts.ending.removeEventListener('abort', this.#giveUp);
    for (const id of ids) this.#parts.waiters.delete(id, this);
  }

  get #open(): readonly string[] {
    return this.#request.ids.filter((id) => this.#jobs.get(id)?.ended !== true);
  }

  #timeOut(): void {
    const [id] = this.#open;
    const seconds = this.#request.timeoutMs / 1000;
    this.#reject(
      new Text2ImgError(
        'wait_timeout',
        `The job ${quote(id)} has not ended within ${seconds} s. It goes on; send the request again.`,
      ),
    );
  }

  #lookForWorkers(): void {
    const { noWorkerTimeoutMs, hasWorker } = this.#parts;
    if (performance.now() - this.#startMs < noWorkerTimeoutMs) return;
    for (const id of this.#open) {
      const job = this.#jobs.get(id);
      if (job?.status !== 'pending' || hasWorker(job.model) !== false) continue;
      const model = job.model === undefined ? 'documents without a model' : `the model ${quote(job.model)}`;
      return this.#reject(new Text2ImgError('no_worker', `No worker that takes ${model} is alive.`));
    }
  }

  async #lookForPreviews(): Promise<void> {
    const running = this.#open.filter((id) => this.#jobs.get(id)?.status === 'processing');
    for (const id of running) {
      // A preview that cannot be read is one preview less.
      const preview = await this.#parts.previews.get(id).catch(() => undefined);
      if (preview !== undefined) this.#events.get(id)?.preview(preview);
    }
  }
}
