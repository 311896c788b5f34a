/**
 * Wakes an idle worker. Where the server has change streams (replica sets), one says when a document becomes pending; a timeout ends the wait
 * everywhere. It is a hint only: the worker that wakes looks for itself. A stream that fails or ends is opened anew without a token, after pauses
 * that grow.
 */
import type { ChangeStream, Collection } from 'mongodb';
import { EndablePause } from '../../lib/endable-pause.ts';
import { growingPauseMs } from '../../lib/pause.ts';
import type { Logger } from '../../observability/logger.ts';
import { closeWithin } from './mongo-client.ts';
import { mongoErrorCode, NOT_A_REPLICA_SET, reasonOf } from './mongo-errors.ts';
import { MAJORITY } from './prompts-collection.ts';

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

/** Many idle workers wake for the same document. This makes them come one after the other. */
const JITTER_MS = 50;
const REOPENING = { firstMs: 500, maxMs: 60_000 } as const;
const ERROR_AFTER_CLOSE_MS = 50;
/** A stream that held so long was well. */
const WELL_MS = 60_000;

export class WakeUp implements AsyncDisposable {
  readonly #collection: Collection;
  readonly #logger: Logger;
  #stream: ChangeStream | undefined;
  #isSupported = true;
  #isClosed = false;
  #failures = 0;
  #openedMs = 0;
  #reopening: NodeJS.Timeout | undefined;
  #hasWarned = false;
  readonly #rest = new EndablePause();
  #waking: NodeJS.Timeout | undefined;

  constructor(collection: Collection, logger: Logger) {
    this.#collection = collection;
    this.#logger = logger;
  }

  /** Resolves at a change, after `timeoutMs`, or when the signal is aborted. */
  async wait({ timeoutMs, signal }: { readonly timeoutMs: number; readonly signal: AbortSignal }): Promise<void> {
    if (signal.aborted) return;
    this.#open();
    await this.#rest.pause(timeoutMs, signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#reopening);
    clearTimeout(this.#waking);
    const stream = this.#stream;
    this.#stream = undefined;
    if (stream !== undefined) await closeWithin(() => stream.close());
  }

  #open(): void {
    if (this.#isClosed || !this.#isSupported || this.#stream !== undefined || this.#reopening !== undefined) return;
    // Change streams have no other; the client's own is stated for everything else.
    const stream = this.#collection.watch(BECAME_PENDING, MAJORITY);
    this.#stream = stream;
    this.#openedMs = performance.now();
    stream.on('change', () => this.#changed());
    stream.on('error', (error: unknown) => this.#ended(stream, error));
    // The collection was dropped or renamed: the stream ends without an error. Where there is one, it comes right after this.
    stream.on('close', () => setTimeout(() => this.#ended(stream, undefined), ERROR_AFTER_CLOSE_MS).unref());
  }

  #ended(stream: ChangeStream, error: unknown): void {
    if (this.#stream !== stream) return;
    this.#stream = undefined;
    void stream.close().catch(() => undefined);
    if (this.#isClosed) return;
    const wasWell = performance.now() - this.#openedMs > WELL_MS;
    this.#failures = wasWell ? 1 : this.#failures + 1;
    if (mongoErrorCode(error) === NOT_A_REPLICA_SET) {
      this.#isSupported = false;
      return;
    }
    this.#tell(error);
    this.#reopening = setTimeout(
      () => {
        this.#reopening = undefined;
        this.#open();
        // We do not know which changes happened meanwhile.
        this.#changed();
      },
      growingPauseMs(this.#failures, REOPENING),
    ).unref();
  }

  #tell(error: unknown): void {
    const fields = error === undefined ? {} : { reason: reasonOf(error) };
    const level = this.#hasWarned || error === undefined ? 'debug' : 'warning';
    if (level === 'warning') this.#hasWarned = true;
    this.#logger[level](
      'the change stream ended; new prompts are found by looking until it can be opened again',
      fields,
    );
  }

  #changed(): void {
    this.#waking ??= setTimeout(() => {
      this.#waking = undefined;
      this.#rest.end();
    }, Math.random() * JITTER_MS).unref();
  }
}
