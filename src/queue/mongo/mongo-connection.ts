/** The connection of the queue: opened at the first statement, with the indexes that those who work need, and what every statement is given. */
import type { Collection, Document, MongoClient } from 'mongodb';
import { Text2ImgError } from '../../errors/text2img-error.ts';
import type { Logger } from '../../observability/logger.ts';
import type { StatementOptions } from '../prompt-queue.ts';
import { callServer } from './call-server.ts';
import { type IndexUse, QueueIndexes, WORK_INDEXES } from './indexes.ts';
import {
  ConnectionDiary,
  checkCollectionName,
  closeWithin,
  databaseOf,
  type NamedUri,
  newClient,
} from './mongo-client.ts';
import { ModelScopes } from './model-scope.ts';
import type { PromptsCollection } from './prompts-collection.ts';
import { PromptStatements } from './statements.ts';
import { KEYS_COLLECTION, WebhookKeys } from './webhook-keys.ts';

export interface MongoQueueOptions extends NamedUri {
  readonly collection: string;
  readonly leaseMs: number;
  readonly maxAttempts: number;
  /** Names this worker in the documents that it owns. */
  readonly owner: string;
  readonly logger: Logger;
}

/** One attempt of a statement: half of the lease. It is at least as long as a busy server needs, and at most as long as an election takes. */
const MIN_DEADLINE_MS = 1000;
const MAX_DEADLINE_MS = 10_000;
/** All attempts of a statement; under a claim never more than a part of the lease. */
const MAX_PATIENCE_MS = 15_000;
/** Choosing a server has its own time, in which the driver tries again and again. */
const CONNECT_DEADLINE_MS = 30_000;
const CONNECT_PATIENCE_MS = 5000;
/** Building an index over an old, large collection takes its time. */
const INDEX_PATIENCE_MS = 10 * 60_000;

export class MongoConnection implements AsyncDisposable {
  /** Where it is, for logs; no secrets. */
  readonly description: string;
  readonly database: string;
  readonly collection: Collection;
  /** The same context as `open` gives, for callers that only look at values that are known here. */
  readonly statements: PromptsCollection;
  /** The parts of the queue that are claimed. */
  readonly scopes: ModelScopes;
  readonly #options: MongoQueueOptions;
  readonly #client: MongoClient;
  readonly #diary: ConnectionDiary;
  readonly #indexes: QueueIndexes;
  #connected: Promise<void> | undefined;
  readonly #indexed = new Map<IndexUse, Promise<void>>();

  /** Does not connect yet. @throws `invalid_option` for a URI that is none, names no database, or names that MongoDB does not allow */
  constructor(options: MongoQueueOptions) {
    this.#options = options;
    this.database = databaseOf(options);
    checkCollectionName(options.collection, this.database);
    this.#client = newClient(options);
    this.#diary = new ConnectionDiary(this.#client);
    const hosts = this.#client.options.srvHost ?? this.#client.options.hosts.map(String).join(',');
    this.description = `MongoDB ${hosts}/${this.database}.${options.collection}`;
    this.collection = this.#client.db(this.database).collection(options.collection);
    this.#indexes = new QueueIndexes(this.collection, options.logger);
    this.scopes = new ModelScopes(options.maxAttempts);
    this.statements = this.#statementsOf(this.collection);
  }

  /** Connects; every method does it by itself at first. @throws `queue_failed`, `queue_unauthorized` */
  async open({ signal }: StatementOptions = {}): Promise<PromptsCollection> {
    this.#connected ??= this.#connect().catch((error: unknown) => {
      // The next call tries again.
      this.#connected = undefined;
      throw error;
    });
    await this.#unlessStopped(this.#connected, signal);
    const { statements } = this;
    return signal === undefined ? statements : { ...statements, signal, run: (call) => statements.run(call, signal) };
  }

  /** For those who work off the queue: makes its indexes too. @param more beside those of every worker */
  async openToWork(options: StatementOptions = {}, more: readonly IndexUse[] = []): Promise<PromptsCollection> {
    const prompts = await this.open(options);
    const missing = [...WORK_INDEXES, ...more].filter((use) => !this.#indexed.has(use));
    if (missing.length > 0) {
      const making = this.#makeIndexes(missing).catch((error: unknown) => {
        for (const use of missing) this.#indexed.delete(use);
        throw error;
      });
      for (const use of missing) this.#indexed.set(use, making);
    }
    for (const making of new Set(this.#indexed.values())) await this.#unlessStopped(making, options.signal);
    return prompts;
  }

  /** The server's clock, in milliseconds since 1970. @throws `queue_failed` */
  async nowMs(): Promise<number> {
    const prompts = await this.open();
    const { localTime } = await prompts.run(() => this.#client.db(this.database).command({ hello: 1 }));
    if (localTime instanceof Date) return localTime.getTime();
    throw new Text2ImgError('queue_failed', `${this.description} does not tell its time.`);
  }

  /** Another of the service's collections in this database. */
  sideCollection<T extends Document>(name: string): Collection<T> {
    return this.#client.db(this.database).collection<T>(name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await closeWithin(() => this.#client.close());
  }

  #statementsOf(collection: Collection): PromptsCollection {
    const { leaseMs, maxAttempts, owner, logger } = this.#options;
    const deadlineMs = Math.max(MIN_DEADLINE_MS, Math.min(MAX_DEADLINE_MS, leaseMs / 2));
    const persistence = {
      place: this.description,
      deadlineMs,
      patienceMs: Math.min(MAX_PATIENCE_MS, leaseMs / 2),
      mends: this.#indexes.mends,
    };
    const run: PromptsCollection['run'] = (call, signal) => callServer(call, { ...persistence, signal });
    return {
      collection: new PromptStatements(collection),
      database: this.database,
      leaseMs,
      maxAttempts,
      owner,
      hints: this.#indexes.hints,
      bounds: { maxTimeMS: deadlineMs },
      logger,
      ...this.scopes.of(undefined),
      webhookKeys: this.#keysOf(run),
      run,
    };
  }

  #keysOf(run: PromptsCollection['run']): WebhookKeys {
    return new WebhookKeys({
      collection: this.sideCollection(KEYS_COLLECTION),
      password: this.#client.options.credentials?.password,
      logger: this.#options.logger,
      run,
    });
  }

  async #connect(): Promise<void> {
    const place = this.description;
    const patience = { place, deadlineMs: CONNECT_DEADLINE_MS, patienceMs: CONNECT_PATIENCE_MS };
    const connect = (): Promise<MongoClient> =>
      this.#client.connect().catch((error: unknown) => {
        throw this.#diary.explain(error, place);
      });
    await callServer(connect, patience);
    await callServer(() => this.#indexes.look(), patience);
  }

  async #makeIndexes(uses: readonly IndexUse[]): Promise<void> {
    const place = this.description;
    const patience = { place, deadlineMs: INDEX_PATIENCE_MS, patienceMs: MAX_PATIENCE_MS };
    await callServer(() => this.#indexes.make(uses), patience);
  }

  /** A stopped caller does not end work that other callers wait for too. */
  #unlessStopped(shared: Promise<void>, signal: AbortSignal | undefined): Promise<void> {
    return callServer(() => shared, { place: this.description, deadlineMs: INDEX_PATIENCE_MS, patienceMs: 0, signal });
  }
}
