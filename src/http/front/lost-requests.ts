/** The jobs of a request that ended before they did. A retry may take them over; after a while they are cancelled. */
import type { ErrorCode } from '../../errors/error-codes.ts';
import type { Text2ImgError } from '../../errors/text2img-error.ts';
import type { Logger } from '../../observability/logger.ts';
import type { PromptQueue } from '../../queue/prompt-queue.ts';
import type { Adoption, Held } from './adoption.ts';
import type { Caller, DoorName } from './caller.ts';

export interface LostRequestsOptions {
  readonly adoption: Adoption;
  readonly queue: Pick<PromptQueue, 'cancel'>;
  readonly logger: Logger;
  /** Until a job that its client left is cancelled. */
  readonly cancelAfterMs: number;
}

/** Their clients ask for one answer and come back for nothing else. */
export const CANCELLED_DOORS: ReadonlySet<DoorName> = new Set(['openai', 'a1111', 'ollama']);

const LEFT_TO_RETRIES: ReadonlySet<ErrorCode> = new Set([
  'client_disconnected',
  'wait_timeout',
  'shutting_down',
  'too_many_waiting',
]);

export class LostRequests implements Disposable {
  readonly #options: LostRequestsOptions;
  readonly #timers = new Set<NodeJS.Timeout>();
  readonly #writes = new Set<Promise<void>>();

  constructor(options: LostRequestsOptions) {
    this.#options = options;
  }

  /** @param held undefined: the job came with an `Idempotency-Key`, or nobody takes it over */
  async ended(held: Held | undefined, error: Text2ImgError): Promise<void> {
    if (held === undefined) return;
    const { adoption } = this.#options;
    if (error.code === 'no_worker') return this.#cancel(held, 'no worker that has the model is alive.');
    if (!LEFT_TO_RETRIES.has(error.code)) return adoption.withdraw(held);
    await adoption.offer(held, { isReleased: true });
    if (error.code === 'client_disconnected') this.#cancelLater(held);
  }

  /** Of a job that ended while it was waited for: a retry of a request whose answer was lost gets the same images. */
  async answered(held: Held | undefined, { answered }: Pick<Caller, 'answered'>): Promise<void> {
    if (held === undefined) return;
    if (answered === undefined) return this.#keep(this.#options.adoption.withdraw(held));
    answered((outcome) => {
      const { adoption } = this.#options;
      void this.#keep(outcome === 'taken' ? adoption.withdraw(held) : adoption.offer(held, { isReleased: true }));
    });
  }

  /** Waits for what is being written. */
  async written(): Promise<void> {
    await Promise.all(this.#writes);
  }

  /** Jobs that would have been cancelled run on: this process can no longer tell whether a retry came. */
  [Symbol.dispose](): void {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
  }

  /** @throws never: an entry that stays ends by itself */
  async #keep(write: Promise<void>): Promise<void> {
    const kept = write.catch((error: unknown) =>
      this.#options.logger.debug('an orphan entry stays as it is', { error }),
    );
    this.#writes.add(kept);
    await kept;
    this.#writes.delete(kept);
  }

  #cancelLater(held: Held): void {
    const { cancelAfterMs, logger } = this.#options;
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      this.#cancel(held, 'the client closed the connection and did not come back.').catch((error: unknown) =>
        logger.warning('a job whose client is gone could not be cancelled', { prompt_id: held.promptId, error }),
      );
    }, cancelAfterMs);
    this.#timers.add(timer);
  }

  /** Only while the job is still this request's. Withdrawn first, so that no retry takes a job that is about to be cancelled. */
  async #cancel(held: Held, message: string): Promise<void> {
    await this.#options.adoption.withdrawOwn(held);
    await this.#options.queue.cancel(held.promptId, { message, door: held.door });
  }
}
