/** The worker in the process of a server: started again after trouble, with growing pauses, until the signal. */
import { Text2ImgError } from '../errors/text2img-error.ts';
import { growingPauseMs, pause } from '../lib/pause.ts';
import { untilAborted } from '../lib/until-aborted.ts';
import { type RunOptions, type RunSettings, runUntilStopped } from './run-worker.ts';

const PAUSES = { firstMs: 1000, maxMs: 60_000 } as const;

export class OwnWorker implements Disposable {
  readonly #settings: RunSettings | undefined;
  readonly #options: RunOptions;
  readonly #stopping = new AbortController();
  readonly #failed = Promise.withResolvers<Text2ImgError>();
  #trouble: Text2ImgError | undefined;
  #wasReady = false;
  #ended: Promise<void> = Promise.resolve();
  #isReady = false;

  /** @param settings undefined: there is no worker in this process */
  constructor(settings: RunSettings | undefined, options: RunOptions) {
    this.#settings = settings;
    this.#options = options;
  }

  start(): void {
    if (this.#settings !== undefined) this.#ended = this.#workOn(this.#settings, this.#options);
  }

  /** Resolves when it works no more; at once where there is no worker. */
  get ended(): Promise<void> {
    return this.#ended;
  }

  /** Why it has no model now; undefined: it has, or it is loading. */
  get trouble(): Text2ImgError | undefined {
    return this.#trouble;
  }

  /** It has its model, and works. */
  get isReady(): boolean {
    return this.#isReady;
  }

  /** @returns undefined at the signal; else why the worker can never work: a wrong option, or a model that cannot be used */
  async untilStopped(signal: AbortSignal): Promise<Text2ImgError | undefined> {
    return untilAborted(this.#failed.promise, signal);
  }

  [Symbol.dispose](): void {
    this.#stopping.abort();
  }

  async #workOn(settings: RunSettings, options: RunOptions): Promise<void> {
    const signal = AbortSignal.any([options.signal, this.#stopping.signal]);
    for (let failures = 1; !signal.aborted; failures++) {
      const onReady = (): void => {
        this.#wasReady = true;
        this.#isReady = true;
        this.#trouble = undefined;
        failures = 0;
      };
      const failure = await failureOf(settings, { ...options, signal, onReady });
      this.#isReady = false;
      if (signal.aborted || failure === undefined) return;
      this.#trouble = failure;
      const isHopeless = !this.#wasReady && (failure.fault === 'usage' || failure.fault === 'model');
      if (isHopeless) return this.#failed.resolve(failure);
      options.logger.error('the worker of this server stopped; it starts again', { error: failure });
      await pause(growingPauseMs(Math.max(1, failures), PAUSES), signal);
    }
  }
}

async function failureOf(settings: RunSettings, options: RunOptions): Promise<Text2ImgError | undefined> {
  try {
    return (await runUntilStopped(settings, options))?.failure;
  } catch (error) {
    return Text2ImgError.from(error);
  }
}
