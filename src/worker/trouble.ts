/**
 * Trouble of the environment: an engine that cannot be had, a store, a disk, a queue or an account that refuses. It is never a document's fault.
 * While it lasts nothing is claimed; when a probe succeeds one job at a time is claimed, until one has finished.
 */
import type { ErrorCode } from '../errors/error-codes.ts';
import type { Text2ImgError } from '../errors/text2img-error.ts';
import { growingPauseMs, type PauseRange } from '../lib/pause.ts';
import type { Logger } from '../observability/logger.ts';

export type TroubleSource = 'engine' | 'store' | 'queue';

/** The reason that keeps a worker from claiming, for its operator. */
export interface TroubleReport {
  readonly source: TroubleSource;
  readonly code: ErrorCode;
  readonly message: string;
  /** Since when it refuses without a break. */
  readonly since: Date;
}

export interface TroubleOptions {
  readonly logger: Logger;
  /** Between two probes. */
  readonly pauses: PauseRange;
}

interface Refusal {
  readonly source: TroubleSource;
  readonly error: Text2ImgError;
}

export class Trouble {
  readonly #options: TroubleOptions;
  /** Of the last probe; undefined: it succeeded, or there was none yet. */
  #refusal: Refusal | undefined;
  /** When it began; it is over only when a job has finished. */
  #beganMs: number | undefined;
  #report: TroubleReport | undefined;
  #failures = 0;
  #isCautious = false;
  #lastSaid = '';

  constructor(options: TroubleOptions) {
    this.#options = options;
  }

  /** Nothing may be claimed. */
  get isRefused(): boolean {
    return this.#refusal !== undefined;
  }

  get source(): TroubleSource | undefined {
    return this.#refusal?.source;
  }

  get error(): Text2ImgError | undefined {
    return this.#refusal?.error;
  }

  /** One job at a time, and none ahead. */
  get isCautious(): boolean {
    return this.#isCautious;
  }

  get report(): TroubleReport | undefined {
    return this.#report;
  }

  /** How long it has lasted, probes that succeeded included. */
  get lastsMs(): number {
    return this.#beganMs === undefined ? 0 : performance.now() - this.#beganMs;
  }

  /** Before the next probe. */
  get pauseMs(): number {
    return growingPauseMs(this.#failures, this.#options.pauses);
  }

  /** A probe after a failure failed: it begins, or goes on. Each cause is said at once and then once a minute, not at each probe. */
  refused(source: TroubleSource, error: Text2ImgError): void {
    // Several jobs may meet the same.
    if (this.#refusal === undefined) this.#failures++;
    this.#note(source, error);
  }

  /** It was probed again, in vain. */
  goesOn(error: Text2ImgError): void {
    if (this.#refusal === undefined) return;
    this.#failures++;
    this.#note(this.#refusal.source, error);
  }

  #note(source: TroubleSource, error: Text2ImgError): void {
    const since = this.#report?.source === source ? this.#report.since : new Date();
    this.#report = { source, code: error.code, message: error.message, since };
    this.#refusal = { source, error };
    this.#beganMs ??= performance.now();
    this.#isCautious = true;
    const said = `${source} ${error.code}`;
    const { logger } = this.#options;
    const fields = { source, error };
    if (said === this.#lastSaid) logger.repeated('still in trouble', fields);
    else logger.error('the environment is in trouble: the worker claims nothing until it is over', fields);
    this.#lastSaid = said;
  }

  /** A probe succeeded: jobs may be tried. Of a queue only the next claim says whether it answers. */
  allow(): void {
    if (this.#refusal?.source !== 'queue') this.#report = undefined;
    this.#refusal = undefined;
  }

  queueAnswered(): void {
    if (this.#refusal === undefined) this.#report = undefined;
  }

  /** The engine was under suspicion, but generates. */
  beCautious(): void {
    this.#isCautious = true;
  }

  jobFinished(): void {
    if (this.#refusal !== undefined) return;
    if (this.#beganMs !== undefined)
      this.#options.logger.info('the trouble is over: the worker generates again', {
        after_seconds: Math.round(this.lastsMs / 1000),
      });
    this.#beganMs = undefined;
    this.#failures = 0;
    this.#isCautious = false;
    this.#lastSaid = '';
  }
}
