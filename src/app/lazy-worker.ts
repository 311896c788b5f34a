/**
 * The worker inside a process that mostly waits. It begins with the first job, so that a process that only answers questions loads no model. Several such
 * processes share a folder: the one that holds the lock runs a worker, and none of
 * them while another program runs one there.
 */
import { hostname } from 'node:os';
import { Text2ImgError } from '../errors/text2img-error.ts';
import { isAlive, withFileLock } from '../lib/file-lock.ts';
import { omitUndefined } from '../lib/omit-undefined.ts';
import { pause } from '../lib/pause.ts';
import { untilAborted } from '../lib/until-aborted.ts';
import type { Logger } from '../observability/logger.ts';
import type { SideData } from '../queue/side-data.ts';
import { type RunOptions, type RunSettings, runUntilStopped } from './run-worker.ts';

/** Between two looks whether another process runs a worker. */
const LOOK_MS = 2000;
/** A process holds the lock for as long as its worker runs. */
const LOCK_PATIENCE_MS = 50;

export interface LazyWorkerOptions {
  readonly run: RunSettings;
  readonly download?: RunOptions['download'];
  readonly sideData: SideData;
  readonly lockFile: string;
  readonly logger: Logger;
  /** Aborted: the jobs at work are released. */
  readonly signal: AbortSignal;
}

export class LazyWorker implements AsyncDisposable {
  readonly #options: LazyWorkerOptions;
  #running: Promise<void> | undefined;
  #failed = new AbortController();

  constructor(options: LazyWorkerOptions) {
    this.#options = options;
  }

  /** Starts the worker, if it does not run. @returns aborted when the worker cannot run, with the error as its reason */
  begin(): AbortSignal {
    if (this.#running === undefined) {
      const failed = new AbortController();
      this.#failed = failed;
      this.#running = this.#workOn()
        .catch((error: unknown) => {
          this.#options.logger.error('the worker of this process cannot run', { error });
          failed.abort(Text2ImgError.from(error));
        })
        // The next job tries again.
        .finally(() => {
          this.#running = undefined;
        });
    }
    return this.#failed.signal;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#running;
  }

  /** Until the signal. */
  async #workOn(): Promise<void> {
    const { signal, lockFile } = this.#options;
    while (!signal.aborted) {
      if (!(await this.#othersWork())) await this.#whileLocked(lockFile, () => this.#work());
      await pause(LOOK_MS, signal);
    }
  }

  async #work(): Promise<void> {
    const { run, logger, signal, download } = this.#options;
    const outcome = await runUntilStopped(run, { logger, signal, onEvent: () => {}, ...omitUndefined({ download }) });
    if (outcome?.failure !== undefined) throw outcome.failure;
  }

  /** A worker that was killed stays registered for a minute. */
  async #othersWork(): Promise<boolean> {
    const { sideData, signal } = this.#options;
    const living = (await untilAborted(sideData.workers.living(), signal)) ?? [];
    const here = hostname();
    return living.some(({ pid, host }) => pid !== process.pid && (host !== here || isAlive(pid)));
  }

  async #whileLocked(path: string, act: () => Promise<void>): Promise<void> {
    let isHeld = false;
    try {
      await withFileLock(
        path,
        async () => {
          isHeld = true;
          await act();
        },
        { patienceMs: LOCK_PATIENCE_MS },
      );
    } catch (error) {
      // Another process of this kind runs a worker.
      if (!isHeld && error instanceof Text2ImgError && error.code === 'store_failed') return;
      throw error;
    }
  }
}
