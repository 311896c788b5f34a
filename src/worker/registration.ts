/**
 * Tells servers about this worker every ten seconds: which models it generates with, how far it is, and how fast it was. It begins while the worker loads
 * its model, so that servers let requests wait for it. Nothing relies on it for correctness: a beat that fails is logged, and no job waits for it.
 */
import { pause } from '../lib/pause.ts';
import type { Logger } from '../observability/logger.ts';
import type { SideData, WorkerRecord } from '../queue/side-data.ts';

export interface RegistrationOptions {
  readonly workers: SideData['workers'];
  /** Asked at each beat. */
  readonly record: () => WorkerRecord;
  readonly logger: Logger;
  /** Default: 10 s. */
  readonly beatMs?: number;
}

const BEAT_MS = 10_000;
/** A worker that ends does not wait longer for the word that it leaves. */
const LEAVE_MS = 1000;

export class Registration implements AsyncDisposable {
  readonly #options: RegistrationOptions;
  readonly #timer: NodeJS.Timeout;
  /** One beat at a time: a queue that hangs gets no pile of them. */
  #beating: Promise<void> | undefined;
  #isHandedOver = false;

  constructor(options: RegistrationOptions) {
    this.#options = options;
    this.#timer = setInterval(() => this.#beat(), options.beatMs ?? BEAT_MS);
    this.#timer.unref();
    this.#beat();
  }

  /** Another registration goes on with the same worker, so this one will not say that it leaves. Never rejects. */
  async handOver(): Promise<void> {
    this.#isHandedOver = true;
    clearInterval(this.#timer);
    await Promise.race([this.#beating, pause(LEAVE_MS)]);
  }

  /** It leaves. Never rejects. */
  async [Symbol.asyncDispose](): Promise<void> {
    const { workers, record } = this.#options;
    clearInterval(this.#timer);
    if (this.#isHandedOver) return;
    const leaving = (async () => {
      await this.#beating;
      await this.#try(() => workers.leave(record().id));
    })();
    await Promise.race([leaving, pause(LEAVE_MS)]);
  }

  #beat(): void {
    const { workers, record } = this.#options;
    this.#beating ??= this.#try(() => workers.beat(record())).finally(() => {
      this.#beating = undefined;
    });
  }

  async #try(act: () => Promise<void>): Promise<void> {
    try {
      await act();
    } catch (error) {
      this.#options.logger.repeated('the worker could not be listed for servers', { error });
    }
  }
}
