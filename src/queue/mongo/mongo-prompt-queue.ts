/** The queue of many machines: one MongoDB collection, a replica set or a standalone. Keeps the contract of `prompt-queue.ts`. */
import { type Document, MongoClient } from 'mongodb';
import { Text2ImgError } from '../../errors/text2img-error.ts';
import type { DocumentId } from '../../job/document-id.ts';
import { PROMPT_FIELDS } from '../../job/prompt-document.ts';
import type { Logger } from '../../observability/logger.ts';
import type {
  ClaimedPrompt,
  CompletionRecord,
  DrainState,
  FailureRecord,
  JobProgress,
  JobStatus,
  JobSummary,
  PromptQueue,
  QueueCounts,
  RawPromptDocument,
  TransitionOutcome,
  WaitingPrompt,
} from '../prompt-queue.ts';
import type { OwedWebhook, WebhookOutbox } from '../webhook-outbox.ts';
import { docKeyOf, documentIdOf, idsOfText } from './bson-ids.ts';
import { cancel } from './cancel.ts';
import { claim, type ClaimedRecord, type Contention } from './claim.ts';
import { complete } from './complete.ts';
import { enqueue } from './enqueue.ts';
import { fail } from './fail.ts';
import { ensureIndexes } from './indexes.ts';
import { isDrained, msUntilNextDue } from './drain-state.ts';
import { counts, list, show } from './list.ts';
import { withoutPassword } from './mongo-errors.ts';
import { MongoOutbox } from './outbox.ts';
import { persist } from './persist.ts';
import type { PromptRecord } from './prompt-record.ts';
import type { PromptsCollection } from './prompts-collection.ts';
import { reap } from './reap.ts';
import { release } from './release.ts';
import { renew } from './renew.ts';
import { type RetryOptions, retryLater } from './retry-later.ts';
import { retry } from './retry.ts';
import { returnAttempts } from './return-attempts.ts';
import { SkipList } from './skip-list.ts';
import { stuck } from './stuck.ts';
import { WakeUp } from './wake-up.ts';

export interface MongoPromptQueueOptions {
  /** With the database's name in it. */
  readonly uri: string;
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
/** Building an index over an old, large collection takes its time. */
const INDEX_PATIENCE_MS = 10 * 60_000;

export class MongoPromptQueue implements PromptQueue {
  readonly description: string;
  readonly outbox: WebhookOutbox;
  readonly #options: MongoPromptQueueOptions;
  readonly #client: MongoClient;
  readonly #database: string;
  readonly #skip: SkipList;
  readonly #contention: Contention = { rate: 0 };
  readonly #wakeUp: WakeUp;
  #prompts: Promise<PromptsCollection> | undefined;

  /** Does not connect yet. @throws `invalid_option` for a URI that is none, or names no database */
  constructor(options: MongoPromptQueueOptions) {
    this.#options = options;
    this.#client = newClient(options.uri);
    this.#database = databaseOf(options.uri);
    const hosts = this.#client.options.srvHost ?? this.#client.options.hosts.map(String).join(',');
    this.description = `MongoDB ${hosts}/${this.#database}.${options.collection}`;
    this.#skip = new SkipList(options.logger);
    this.#wakeUp = new WakeUp(this.#collection, options.logger);
    this.outbox = new MongoOutbox(() => this.#open());
  }

  get #collection() {
    return this.#client.db(this.#database).collection<PromptRecord>(this.#options.collection);
  }

  /** Connects and makes the indexes; every method does it by itself at first. @throws `queue_failed`, `queue_unauthorized` */
  #open(): Promise<PromptsCollection> {
    this.#prompts ??= this.#connect().catch((error: unknown) => {
      // The next call tries again.
      this.#prompts = undefined;
      throw error;
    });
    return this.#prompts;
  }

  async #connect(): Promise<PromptsCollection> {
    const { leaseMs, maxAttempts, owner, logger } = this.#options;
    const place = this.description;
    const collection = this.#collection;
    await persist(() => this.#client.connect(), { place, deadlineMs: MAX_DEADLINE_MS, patienceMs: MAX_PATIENCE_MS });
    const patience = { place, deadlineMs: INDEX_PATIENCE_MS, patienceMs: MAX_PATIENCE_MS };
    const hints = await persist(() => ensureIndexes(collection, logger), patience);
    const deadlineMs = Math.max(MIN_DEADLINE_MS, Math.min(MAX_DEADLINE_MS, leaseMs / 2));
    const patienceMs = Math.min(MAX_PATIENCE_MS, leaseMs / 2);
    return {
      collection,
      database: this.#database,
      leaseMs,
      maxAttempts,
      owner,
      hints,
      run: (call) => persist(call, { place, deadlineMs, patienceMs }),
    };
  }

  async claim({ limit }: { readonly limit: number }): Promise<readonly ClaimedPrompt[]> {
    const prompts = await this.#open();
    const claimed = await claim(prompts, { limit, skip: this.#skip, contention: this.#contention });
    return claimed.map((one) => this.#toClaim(one));
  }

  async renew(claimed: ClaimedPrompt, progress?: JobProgress): Promise<TransitionOutcome> {
    return outcome(await renew(await this.#open(), claimed, progress));
  }

  async complete(claimed: ClaimedPrompt, record: CompletionRecord, webhook?: OwedWebhook): Promise<TransitionOutcome> {
    return outcome(await complete(await this.#open(), claimed, { record, webhook }));
  }

  async fail(claimed: ClaimedPrompt, failure: FailureRecord, webhook?: OwedWebhook): Promise<TransitionOutcome> {
    return outcome(await fail(await this.#open(), claimed, { failure, webhook }));
  }

  async retryLater(claimed: ClaimedPrompt, options: RetryOptions): Promise<TransitionOutcome> {
    return outcome(await retryLater(await this.#open(), claimed, options));
  }

  async release(
    claimed: ClaimedPrompt,
    { attempts = 1 }: { readonly attempts?: number } = {},
  ): Promise<TransitionOutcome> {
    return outcome(await release(await this.#open(), claimed, attempts));
  }

  async returnAttempts(waiting: WaitingPrompt): Promise<TransitionOutcome> {
    return outcome(await returnAttempts(await this.#open(), waiting));
  }

  async reap(): Promise<number> {
    return reap(await this.#open(), this.#skip);
  }

  async enqueue(documents: readonly RawPromptDocument[]): Promise<readonly DocumentId[]> {
    return enqueue(await this.#open(), documents);
  }

  async counts(): Promise<QueueCounts> {
    return counts(await this.#open());
  }

  async list(options: { readonly status?: JobStatus; readonly limit: number }): Promise<readonly JobSummary[]> {
    return list(await this.#open(), options);
  }

  async show(id: string): Promise<JobSummary | undefined> {
    return (await show(await this.#open(), idsOfText(id)))?.summary;
  }

  async retry(id: string, { force = false }: { readonly force?: boolean } = {}): Promise<boolean | undefined> {
    return this.#change(id, (prompts, found) => retry(prompts, found, { force }));
  }

  async cancel(id: string): Promise<boolean | undefined> {
    return this.#change(id, cancel);
  }

  async stuck(): Promise<readonly string[]> {
    return stuck(await this.#open());
  }

  async drainState(): Promise<DrainState> {
    return { isDrained: await this.isDrained(), refused: 0, stuck: 0 };
  }

  async isDrained(): Promise<boolean> {
    return isDrained(await this.#open(), this.#skip);
  }

  async msUntilNextDue(): Promise<number | undefined> {
    return msUntilNextDue(await this.#open(), this.#skip);
  }

  async untilChanged(options: { readonly timeoutMs: number; readonly signal: AbortSignal }): Promise<void> {
    return this.#wakeUp.wait(options);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#wakeUp[Symbol.asyncDispose]();
    await this.#client.close();
  }

  async #change(
    id: string,
    change: (prompts: PromptsCollection, id: unknown) => Promise<boolean>,
  ): Promise<boolean | undefined> {
    const prompts = await this.#open();
    const found = await show(prompts, idsOfText(id));
    return found === undefined ? undefined : change(prompts, found.id);
  }

  #toClaim({ record, token }: ClaimedRecord): ClaimedPrompt {
    const id = documentIdOf(record['_id']);
    const job = record['job'] as Document;
    const fields = PROMPT_FIELDS.filter((name) => Object.hasOwn(record, name));
    return {
      id,
      docKey: docKeyOf({ database: this.#database, collection: this.#options.collection }, id),
      token,
      runId: String(job['run_id']),
      attempt: Number(job['attempts']),
      previousAttemptDied: job['previous_died'] === true,
      document: Object.fromEntries(fields.map((name) => [name, record[name] as unknown])),
    };
  }
}

function newClient(uri: string): MongoClient {
  try {
    return new MongoClient(uri, {
      appName: 'text2img',
      writeConcern: { w: 'majority' },
      readPreference: 'primary',
      // What the URI says beats ours here, unlike above.
      ...(/[?&]serverSelectionTimeoutMS=/i.test(uri) ? {} : { serverSelectionTimeoutMS: MAX_DEADLINE_MS }),
      // A text with bytes that are not UTF-8 must not throw after its claim took effect.
      enableUtf8Validation: false,
      // Nor a pattern that JavaScript cannot read.
      bsonRegExp: true,
    });
  } catch (error) {
    const reason = withoutPassword((error as Error).message);
    throw new Text2ImgError('invalid_option', `--mongo-uri (not shown) is not allowed: ${reason}.`);
  }
}

/** The path of the URI; the driver would quietly take "test". */
function databaseOf(uri: string): string {
  const path = /^mongodb(?:\+srv)?:\/\/[^/]+\/([^?]+)/.exec(uri)?.[1];
  if (path !== undefined && path !== '') return decodeURIComponent(path);
  throw new Text2ImgError(
    'invalid_option',
    '--mongo-uri (not shown) names no database; it must be like mongodb://host:27017/my-database.',
  );
}

function outcome(done: boolean): TransitionOutcome {
  return done ? 'done' : 'lost';
}
