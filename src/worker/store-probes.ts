/** Asks the store after a failure whether it takes objects at all. Failures that come together share one probe, but never one that began before. */
import { Text2ImgError } from '../errors/text2img-error.ts';
import type { ImageStore } from '../storage/image-store.ts';

interface Round {
  sizeBytes: number;
  readonly answer: Promise<Text2ImgError | undefined>;
}

export class StoreProbes {
  readonly #store: ImageStore;
  readonly #signal: AbortSignal;
  /** Not begun yet. */
  #next: Round | undefined;
  #running: Promise<unknown> = Promise.resolve();

  /** @param signal ends every probe */
  constructor(store: ImageStore, signal: AbortSignal) {
    this.#store = store;
    this.#signal = signal;
  }

  /** @returns why the store takes no image of this size now; undefined: it does @throws the signal's reason */
  ask(sizeBytes: number): Promise<Text2ImgError | undefined> {
    const next = this.#next ?? this.#plan();
    next.sizeBytes = Math.max(next.sizeBytes, sizeBytes);
    return next.answer;
  }

  #plan(): Round {
    const before = this.#running;
    const round: Round = { sizeBytes: 0, answer: before.then(() => this.#probe(round)) };
    this.#next = round;
    this.#running = round.answer.catch(() => undefined);
    return round;
  }

  async #probe(round: Round): Promise<Text2ImgError | undefined> {
    this.#next = undefined;
    try {
      await this.#store.probe({ sizeBytes: round.sizeBytes, signal: this.#signal });
      return undefined;
    } catch (error) {
      this.#signal.throwIfAborted();
      return Text2ImgError.from(error);
    }
  }
}
