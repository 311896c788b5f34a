/** The queue of many machines: one MongoDB collection, a replica set or a standalone. Keeps the contract of `prompt-queue.ts`. */
import type { Collection, MongoClient } from 'mongodb';
import type { DocumentId } from '../../job/document-id.ts';
import { promptFieldsOf } from '../../job/prompt-document.ts';
import { isRecord } from '../../lib/foreign-record.ts';
import type { Logger } from '../../observability/logger.ts';
import type {
  ClaimedPrompt,
  CompletionRecord,
  DrainState,
  FailureRecord,
  JobProgress,
  JobSummary,
  ListedJob,
  ListOptions,
  PromptIdentity,
  PromptQueue,
  QueueCounts,
  RawPromptDocument,
  StatementOptions,
  SweepOptions,
  TransitionOutcome,
  WaitingPrompt,
} from '../prompt-queue.ts';
import type { OwedWebhook, WebhookOutbox } from '../webhook-outbox.ts';
import { claimOf, identityOf, outcomeOf } from '../transitions.ts';
import { documentIdOf } from './bson-ids.ts';
import { cancel } from './cancel.ts';
import { claim, type ClaimMemory } from './claim.ts';
import { complete } from './complete.ts';
import { drainState, msUntilNextDue } from './drain.ts';
import { enqueue } from './enqueue.ts';
import { fail } from './fail.ts';
import { findId } from './find-id.ts';
import { QueueIndexes } from './indexes.ts';
import { counts, list, show } from './list.ts';
import {
  checkCollectionName,
  closeWithin,
  ConnectionDiary,
  databaseOf,
  type NamedUri,
  newClient,
} from './mongo-client.ts';
import { MongoOutbox } from './outbox.ts';
import { persist } from './persist.ts';
import { byId, type PromptsCollection } from './prompts-collection.ts';
import { nameObject } from './name-object.ts';
import { reap } from './reap.ts';
import { release } from './release.ts';
import { renew } from './renew.ts';
import { type RetryOptions as LaterOptions, retryLater } from './retry-later.ts';
import { retry, type RetryOptions } from './retry.ts';
import { returnAttempts } from './return-attempts.ts';
import { PromptStatements, type StoredDocument } from './statements.ts';
import { stuck } from './stuck.ts';
import type { ClaimedRecord } from './take-one.ts';
import { WakeUp } from './wake-up.ts';
import { Walk } from './walk.ts';
import { endedPlan, farPlan, PENDING_PLAN } from './walk-plans.ts';
import { KEYS_COLLECTION, WebhookKeys } from './webhook-keys.ts';

export interface MongoPromptQueueOptions extends NamedUri {
  readonly collection: string;
  readonly leaseMs: number;
  readonly maxAttempts: number;
  /** Names this worker in the documents that it owns. */
  readonly owner: string;
  readonly logger: Logger;
}

/** One try of a statement: half of the lease, but not less than a busy server needs, nor more than an election takes. */
const MIN_DEADLINE_MS = 1000;
const MAX_DEADLINE_MS = 10_000;
/** All tries of a statement; under a claim never more than a part of the lease. */
const MAX_PATIENCE_MS = 15_000;
/** Choosing a server has its own time, in which the driver tries again and again. */
const CONNECT_DEADLINE_MS = 30_000;
const CONNECT_PATIENCE_MS = 5000;
/** Building an index over an old, large collection takes its time. */
const INDEX_PATIENCE_MS = 10 * 60_000;

export class MongoPromptQueue implements PromptQueue {
  readonly description: string;
  readonly outbox: WebhookOutbox;
  readonly #options: MongoPromptQueueOptions;
  readonly #client: MongoClient;
  readonly #diary: ConnectionDiary;
  readonly #database: string;
  readonly #indexes: QueueIndexes;
  readonly #memory: ClaimMemory = { contention: { rate: 0 }, isPendingFirst: false };
  readonly #wakeUp: WakeUp;
  readonly #statements: PromptsCollection;
  #connected: Promise<void> | undefined;
  #indexed: Promise<void> | undefined;

  /** Does not connect yet. @throws `invalid_option` for a URI that is none, names no database, or names that MongoDB does not allow */
  constructor(options: MongoPromptQueueOptions) {
    this.#options = options;
    this.#database = databaseOf(options);
    checkCollectionName(options.collection, this.#database);
    this.#client = newClient(options);
    this.#diary = new ConnectionDiary(this.#client);
    const hosts = this.#client.options.srvHost ?? this.#client.options.hosts.map(String).join(',');
    this.description = `MongoDB ${hosts}/${this.#database}.${options.collection}`;
    const collection = this.#client.db(this.#database).collection(options.collection);
    this.#indexes = new QueueIndexes(collection, options.logger);
    this.#wakeUp = new WakeUp(collection, options.logger);
    this.#statements = this.#statementsOf(collection);
    // Whoever works has made the indexes already; a list of webhooks makes none.
    this.outbox = new MongoOutbox((options) => this.#open(options));
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
    const run: PromptsCollection['run'] = (call, signal) => persist(call, { ...persistence, signal });
    return {
      collection: new PromptStatements(collection),
      database: this.#database,
      leaseMs,
      maxAttempts,
      owner,
      hints: this.#indexes.hints,
      bounds: { maxTimeMS: deadlineMs },
      logger,
      walks: {
        pending: new Walk(PENDING_PLAN),
        ended: new Walk(endedPlan((attempts) => attempts < maxAttempts)),
        far: new Walk(farPlan((attempts) => attempts < maxAttempts)),
        dead: new Walk(endedPlan((attempts) => attempts >= maxAttempts)),
      },
      webhookKeys: this.#keysOf(run),
      run,
    };
  }

  #keysOf(run: PromptsCollection['run']): WebhookKeys {
    return new WebhookKeys({
      collection: this.#client.db(this.#database).collection(KEYS_COLLECTION),
      password: this.#client.options.credentials?.password,
      logger: this.#options.logger,
      run,
    });
  }

  /** Connects; every method does it by itself at first. @throws `queue_failed`, `queue_unauthorized` */
  async #open({ signal }: StatementOptions = {}): Promise<PromptsCollection> {
    this.#connected ??= this.#connect().catch((error: unknown) => {
      // The next call tries again.
      this.#connected = undefined;
      throw error;
    });
    await this.#unlessStopped(this.#connected, signal);
    const statements = this.#statements;
    return signal === undefined ? statements : { ...statements, signal, run: (call) => statements.run(call, signal) };
  }

  /** For those who work off the queue: makes its indexes too. */
  async #openToWork(options: StatementOptions = {}): Promise<PromptsCollection> {
    const prompts = await this.#open(options);
    this.#indexed ??= this.#makeIndexes().catch((error: unknown) => {
      this.#indexed = undefined;
      throw error;
    });
    await this.#unlessStopped(this.#indexed, options.signal);
    return prompts;
  }

  async #connect(): Promise<void> {
    const place = this.description;
    const patience = { place, deadlineMs: CONNECT_DEADLINE_MS, patienceMs: CONNECT_PATIENCE_MS };
    const connect = (): Promise<MongoClient> =>
      this.#client.connect().catch((error: unknown) => {
        throw this.#diary.explain(error, place);
      });
    await persist(connect, patience);
    await persist(() => this.#indexes.look(), patience);
  }

  async #makeIndexes(): Promise<void> {
    const place = this.description;
    const patience = { place, deadlineMs: INDEX_PATIENCE_MS, patienceMs: MAX_PATIENCE_MS };
    await persist(() => this.#indexes.make(), patience);
  }

  /** What others wait for too goes on. */
  #unlessStopped(shared: Promise<void>, signal: AbortSignal | undefined): Promise<void> {
    return persist(() => shared, { place: this.description, deadlineMs: INDEX_PATIENCE_MS, patienceMs: 0, signal });
  }

  async claim({
    limit,
    signal,
    endings,
  }: { readonly limit: number } & SweepOptions): Promise<readonly ClaimedPrompt[]> {
    const prompts = await this.#openToWork({ signal });
    const claimed = await claim(prompts, { limit, memory: this.#memory, endings });
    return claimed.map((one) => this.#toClaim(one));
  }

  async renew(claimed: ClaimedPrompt, progress?: JobProgress): Promise<TransitionOutcome> {
    return outcomeOf(await renew(await this.#open(), claimed, progress));
  }

  async nameObject(claimed: ClaimedPrompt, objectName: string): Promise<TransitionOutcome> {
    return outcomeOf(await nameObject(await this.#open(), claimed, objectName));
  }

  async complete(claimed: ClaimedPrompt, record: CompletionRecord, webhook?: OwedWebhook): Promise<TransitionOutcome> {
    return outcomeOf(await complete(await this.#open(), claimed, { record, webhook }));
  }

  async fail(claimed: ClaimedPrompt, failure: FailureRecord, webhook?: OwedWebhook): Promise<TransitionOutcome> {
    return outcomeOf(await fail(await this.#open(), claimed, { failure, webhook }));
  }

  async retryLater(claimed: ClaimedPrompt, options: LaterOptions): Promise<TransitionOutcome> {
    return outcomeOf(await retryLater(await this.#open(), claimed, options));
  }

  async release(
    claimed: ClaimedPrompt,
    { attempts = 1 }: { readonly attempts?: number } = {},
  ): Promise<TransitionOutcome> {
    return outcomeOf(await release(await this.#open(), claimed, attempts));
  }

  async returnAttempts(waiting: WaitingPrompt): Promise<TransitionOutcome> {
    return outcomeOf(await returnAttempts(await this.#open(), waiting));
  }

  async reap({ signal, endings }: SweepOptions = {}): Promise<number> {
    return reap(await this.#openToWork({ signal }), endings);
  }

  async enqueue(
    documents: readonly RawPromptDocument[],
    options?: Parameters<PromptQueue['enqueue']>[1],
  ): Promise<readonly DocumentId[]> {
    return enqueue(await this.#openToWork(), documents, options);
  }

  async counts(): Promise<QueueCounts> {
    return counts(await this.#open());
  }

  async list(options: ListOptions): Promise<readonly ListedJob[]> {
    return list(await this.#open(), options);
  }

  async show(id: string): Promise<JobSummary | undefined> {
    const prompts = await this.#open();
    const found = await findId(prompts, id);
    return found === undefined ? undefined : show(prompts, found.id);
  }

  async identify(id: string): Promise<PromptIdentity | undefined> {
    const prompts = await this.#open();
    const found = await findId(prompts, id);
    if (found === undefined) return undefined;
    const projection = { _id: 1, 'job.object_name': 1 } as const;
    const record = await prompts.run(() => prompts.collection.findOne(byId(found.id), { projection }));
    return record === null ? undefined : this.#identityOf(record);
  }

  async retry(id: string, options?: RetryOptions): Promise<boolean | undefined> {
    return this.#change(id, (prompts, found) => retry(prompts, found, options));
  }

  async cancel(id: string): Promise<boolean | undefined> {
    return this.#change(id, cancel);
  }

  async stuck(): Promise<readonly string[]> {
    return stuck(await this.#open());
  }

  async drainState(options?: StatementOptions): Promise<DrainState> {
    return drainState(await this.#openToWork(options));
  }

  /** For tests and scripts. */
  async isDrained(options?: StatementOptions): Promise<boolean> {
    return (await this.drainState(options)).isDrained;
  }

  async msUntilNextDue(): Promise<number | undefined> {
    return msUntilNextDue(await this.#open());
  }

  async untilChanged({
    timeoutMs,
    signal,
  }: {
    readonly timeoutMs: number;
    readonly signal: AbortSignal;
  }): Promise<void> {
    const { pending, ended } = this.#statements.walks;
    // The rest of the queue is not known yet.
    if (pending.isUnderWay) return;
    const passMs = Math.min(pending.msUntilNextPass ?? Infinity, ended.msUntilNextPass ?? Infinity);
    await this.#wakeUp.wait({ timeoutMs: Math.min(timeoutMs, passMs + 1), signal });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#wakeUp[Symbol.asyncDispose]();
    await closeWithin(() => this.#client.close());
  }

  async #change(
    id: string,
    change: (prompts: PromptsCollection, id: unknown) => Promise<boolean>,
  ): Promise<boolean | undefined> {
    const prompts = await this.#open();
    const found = await findId(prompts, id);
    return found === undefined ? undefined : change(prompts, found.id);
  }

  #identityOf(record: StoredDocument): PromptIdentity {
    const place = { database: this.#database, collection: this.#options.collection };
    return identityOf(place, documentIdOf(record._id), jobOf(record)['object_name']);
  }

  #toClaim({ record, token }: ClaimedRecord): ClaimedPrompt {
    const job = jobOf(record);
    return claimOf(this.#identityOf(record), {
      token,
      document: promptFieldsOf(record),
      runId: job['run_id'],
      attempts: job['attempts'],
      previousDied: job['previous_died'] === true,
    });
  }
}

function jobOf({ job }: StoredDocument): Readonly<Record<string, unknown>> {
  return isRecord(job) ? job : {};
}
