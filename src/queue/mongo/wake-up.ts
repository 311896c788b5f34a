/**
 * Wakes an idle worker: a change stream says when a document becomes pending, where the server has them (replica sets), and a timeout ends the
 * wait everywhere. It is a hint only: whoever wakes looks for himself, and after any error the stream is opened anew without a token.
 */
import type { ChangeStream, Collection } from 'mongodb';
import type { Logger } from '../../observability/logger.ts';
import { mongoErrorCode, NOT_A_REPLICA_SET, withoutPassword } from './mongo-errors.ts';
import type { PromptRecord } from './prompt-record.ts';

const BECAME_PENDING = [
  {
    $match: {
      $or: [
        { operationType: { $in: ['insert', 'replace'] }, 'fullDocument.status': 'pending' },
        { operationType: 'update', 'updateDescription.updatedFields.status': 'pending' },
      ],
    },
  },
  // No document travels.
  { $project: { _id: 1, operationType: 1, documentKey: 1 } },
];

/** Many idle workers hear of the same document: they come one after the other. */
const JITTER_MS = 50;

export class WakeUp implements AsyncDisposable {
  readonly #collection: Collection<PromptRecord>;
  readonly #logger: Logger;
  #stream: ChangeStream | undefined;
  #isSupported = true;
  #isClosed = false;
  #wake: (() => void) | undefined;
  /** Something changed while nobody waited. */
  #isDue = false;

  constructor(collection: Collection<PromptRecord>, logger: Logger) {
    this.#collection = collection;
    this.#logger = logger;
  }

  /** Resolves at a change, after `timeoutMs`, or when the signal is aborted. */
  async wait({ timeoutMs, signal }: { readonly timeoutMs: number; readonly signal: AbortSignal }): Promise<void> {
    if (signal.aborted) return;
    this.#open();
    if (this.#isDue) {
      this.#isDue = false;
      return;
    }
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, timeoutMs);
    this.#wake = () => setTimeout(resolve, Math.random() * JITTER_MS);
    signal.addEventListener('abort', () => resolve(), { once: true });
    await promise;
    clearTimeout(timer);
    this.#wake = undefined;
    this.#isDue = false;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    this.#isSupported = false;
    await this.#stream?.close().catch(() => undefined);
  }

  #open(): void {
    if (!this.#isSupported || this.#stream !== undefined) return;
    const stream = this.#collection.watch(BECAME_PENDING);
    this.#stream = stream;
    stream.on('change', () => this.#changed());
    stream.on('error', (error: unknown) => {
      this.#stream = undefined;
      void stream.close().catch(() => undefined);
      if (mongoErrorCode(error) === NOT_A_REPLICA_SET) this.#isSupported = false;
      if (this.#isClosed) return;
      this.#logger.debug('the change stream ended; the queue is polled', {
        reason: withoutPassword((error as Error).message),
      });
      // What happened since is not known: look at once.
      if (this.#isSupported) this.#changed();
    });
  }

  #changed(): void {
    if (this.#wake === undefined) this.#isDue = true;
    else this.#wake();
  }
}
