/** The queue of many machines: one MongoDB collection, a replica set or a standalone. Keeps the contract of `prompt-queue.ts`. */
import type { DocumentId } from '../../job/document-id.ts';
import { promptFieldsOf } from '../../job/prompt-document.ts';
import { isRecord } from '../../lib/foreign-record.ts';
import type { Logger } from '../../observability/logger.ts';
import type {
  CancelOptions,
  ChangeListeners,
  ClaimedPrompt,
  ClaimOptions,
  CompletionRecord,
  DepthOptions,
  DrainState,
  EnqueueOptions,
  FailureRecord,
  FollowedJob,
  JobProgress,
  JobSummary,
  LaterOptions,
  ListedJob,
  ListedPage,
  ListOptions,
  ModelOptions,
  ModelSelection,
  OverdueJobs,
  PageOptions,
  PromptIdentity,
  PromptQueue,
  QueueCounts,
  QueuePosition,
  RawPromptDocument,
  RetriedAll,
  RetrySelection,
  StatementOptions,
  SweepOptions,
  TransitionOutcome,
  WaitingPrompt,
} from '../prompt-queue.ts';
import type { SideData } from '../side-data.ts';
import { claimOf, identityOf, outcomeOf } from '../transitions.ts';
import type { OwedWebhook, WebhookOutbox } from '../webhook-outbox.ts';
import { adopt, type Doors } from './adopt.ts';
import { documentIdOf } from './bson-ids.ts';
import { cancel } from './cancel.ts';
import { type ClaimMemory, claim } from './claim.ts';
import { firstTurn } from './claim-by-turns.ts';
import { complete } from './complete.ts';
import { drainState, msUntilNextDue } from './drain.ts';
import { endOverdue, OverdueMemory } from './end-overdue.ts';
import { enqueue } from './enqueue.ts';
import { fail } from './fail.ts';
import { findId, idsWithPrefix } from './find-id.ts';
import { nearMisses } from './near-misses.ts';
import { type IndexUse, TENANT_INDEXES } from './indexes.ts';
import { counts, follow, list, listPage, show } from './list.ts';
import { MongoConnection, type MongoQueueOptions } from './mongo-connection.ts';
import { nameObject } from './name-object.ts';
import { MongoOutbox } from './outbox.ts';
import { byId, type PromptsCollection, type Walks } from './prompts-collection.ts';
import { depth, oldestPendingMs, placeInQueue } from './queue-depth.ts';
import { reap } from './reap.ts';
import { release } from './release.ts';
import { remove } from './remove.ts';
import { renew } from './renew.ts';
import { type RetryOptions, retry } from './retry.ts';
import { countSelected, retryAll } from './retry-all.ts';
import { retryLater } from './retry-later.ts';
import { returnAttempts } from './return-attempts.ts';
import { MongoSideData } from './side-data/mongo-side-data.ts';
import type { StoredDocument } from './statements.ts';
import { stuck } from './stuck.ts';
import type { ClaimedRecord } from './take-one.ts';
import { WakeUp } from './wake-up.ts';
import { watchChanges } from './watch-changes.ts';

export type MongoPromptQueueOptions = MongoQueueOptions;

export class MongoPromptQueue implements PromptQueue {
  readonly description: string;
  readonly outbox: WebhookOutbox;
  readonly sideData: SideData;
  readonly #logger: Logger;
  readonly #connection: MongoConnection;
  readonly #memory: ClaimMemory = {
    contention: { rate: 0 },
    isPendingFirst: false,
    turn: firstTurn(),
  };
  readonly #overdue = new OverdueMemory();
  readonly #wakeUp: WakeUp;
  /** Of the last claim. */
  #walks: Walks;

  /** Does not connect yet. @throws `invalid_option` for a URI that is none, names no database, or names that MongoDB does not allow */
  constructor(options: MongoPromptQueueOptions) {
    this.#connection = new MongoConnection(options);
    this.#walks = this.#connection.statements.walks;
    this.description = this.#connection.description;
    this.#wakeUp = new WakeUp(this.#connection.collection, options.logger);
    // A worker has made the indexes already; a list of webhooks makes none.
    this.outbox = new MongoOutbox((options) => this.#connection.open(options));
    this.sideData = new MongoSideData(this.#connection, options.logger);
    this.#logger = options.logger;
  }

  async claim({ limit, signal, endings, models, fair }: ClaimOptions): Promise<readonly ClaimedPrompt[]> {
    const isFair = models !== undefined && fair === true;
    const prompts = await this.#openFor({ models, signal }, isFair ? ['turns'] : []);
    const claimed = await claim(prompts, { limit, memory: this.#memory, endings, isFair });
    return claimed.map((one) => this.#toClaim(one));
  }

  async renew(claimed: ClaimedPrompt, progress?: JobProgress): Promise<TransitionOutcome> {
    return outcomeOf(await renew(await this.#connection.open(), claimed, progress));
  }

  async nameObject(claimed: ClaimedPrompt, objectName: string): Promise<TransitionOutcome> {
    return outcomeOf(await nameObject(await this.#connection.open(), claimed, objectName));
  }

  async complete(claimed: ClaimedPrompt, record: CompletionRecord, webhook?: OwedWebhook): Promise<TransitionOutcome> {
    return outcomeOf(await complete(await this.#connection.open(), claimed, { record, webhook }));
  }

  async fail(claimed: ClaimedPrompt, failure: FailureRecord, webhook?: OwedWebhook): Promise<TransitionOutcome> {
    return outcomeOf(await fail(await this.#connection.open(), claimed, { failure, webhook }));
  }

  async retryLater(claimed: ClaimedPrompt, options: LaterOptions): Promise<TransitionOutcome> {
    return outcomeOf(await retryLater(await this.#connection.open(), claimed, options));
  }

  async release(
    claimed: ClaimedPrompt,
    { attempts = 1 }: { readonly attempts?: number } = {},
  ): Promise<TransitionOutcome> {
    return outcomeOf(await release(await this.#connection.open(), claimed, attempts));
  }

  async returnAttempts(waiting: WaitingPrompt): Promise<TransitionOutcome> {
    return outcomeOf(await returnAttempts(await this.#connection.open(), waiting));
  }

  async reap({ signal, endings }: SweepOptions = {}): Promise<number> {
    return reap(await this.#connection.openToWork({ signal }), endings);
  }

  async endOverdue({ signal }: StatementOptions = {}): Promise<OverdueJobs> {
    return endOverdue(await this.#connection.openToWork({ signal }, ['deadlines']), this.#overdue);
  }

  async enqueue(documents: readonly RawPromptDocument[], options?: EnqueueOptions): Promise<readonly DocumentId[]> {
    const { labels, cancelAfterMs } = options ?? {};
    const more: readonly IndexUse[] = [
      ...(labels?.tenant === undefined ? [] : TENANT_INDEXES),
      ...(cancelAfterMs === undefined ? [] : (['deadlines'] as const)),
    ];
    const prompts = await this.#connection.openToWork({}, more);
    const cancelAt =
      cancelAfterMs === undefined ? undefined : new Date((await this.#connection.nowMs()) + Math.round(cancelAfterMs));
    return enqueue(prompts, documents, { ...options, cancelAt });
  }

  async counts(): Promise<QueueCounts> {
    return counts(await this.#connection.open());
  }

  async list(options: ListOptions): Promise<readonly ListedJob[]> {
    return list(await this.#connection.open(), options);
  }

  async listPage(options: PageOptions): Promise<ListedPage> {
    return listPage(await this.#connection.open(), options);
  }

  async show(id: string): Promise<JobSummary | undefined> {
    const prompts = await this.#connection.open();
    const found = await findId(prompts, id);
    return found === undefined ? undefined : show(prompts, found.id);
  }

  async follow(ids: readonly string[]): Promise<ReadonlyMap<string, FollowedJob>> {
    return follow(await this.#connection.open(), ids);
  }

  async watchChanges(listeners: ChangeListeners): Promise<void> {
    await watchChanges({ collection: this.#connection.collection, logger: this.#logger }, listeners);
  }

  async idsWithPrefix(prefix: string, limit: number): Promise<readonly string[]> {
    return idsWithPrefix(await this.#connection.open(), prefix, limit);
  }

  async identify(id: string): Promise<PromptIdentity | undefined> {
    const prompts = await this.#connection.open();
    const found = await findId(prompts, id);
    if (found === undefined) return undefined;
    const projection = { _id: 1, 'job.object_name': 1 } as const;
    const record = await prompts.run(() => prompts.collection.findOne(byId(found.id), { projection }));
    return record === null ? undefined : this.#identityOf(record);
  }

  async retry(id: string, options?: RetryOptions): Promise<boolean | undefined> {
    return this.#change(id, (prompts, found) => retry(prompts, found, options));
  }

  async retryAll(selection: RetrySelection): Promise<RetriedAll> {
    return retryAll(await this.#connection.open(), selection);
  }

  async countSelected(selection: RetrySelection): Promise<number> {
    return countSelected(await this.#connection.open(), selection);
  }

  async cancel(id: string, options?: CancelOptions): Promise<boolean | undefined> {
    return this.#change(id, (prompts, found) => cancel(prompts, found, options));
  }

  async adopt(id: string, doors: Doors): Promise<boolean> {
    return (await this.#change(id, (prompts, found) => adopt(prompts, found, doors))) ?? false;
  }

  async remove(id: string): Promise<boolean | undefined> {
    return this.#change(id, remove);
  }

  async placeInQueue(id: string, options: { readonly most: number }): Promise<QueuePosition | undefined> {
    return this.#change(id, (prompts, found) => placeInQueue(prompts, found, options));
  }

  async depth(options: DepthOptions): Promise<number> {
    return depth(await this.#connection.open(), options);
  }

  async oldestPendingMs(): Promise<number | undefined> {
    return oldestPendingMs(await this.#connection.open());
  }

  async stuck(served?: ModelSelection): Promise<readonly string[]> {
    return stuck(await this.#connection.open(), served);
  }

  async nearMisses(): Promise<readonly string[]> {
    return nearMisses(await this.#connection.open());
  }

  async drainState(options: ModelOptions = {}): Promise<DrainState> {
    return drainState(await this.#openFor(options), options.models);
  }

  /** For tests and scripts. */
  async isDrained(options?: ModelOptions): Promise<boolean> {
    return (await this.drainState(options)).isDrained;
  }

  async msUntilNextDue({ models, signal }: ModelOptions = {}): Promise<number | undefined> {
    const prompts = await this.#connection.open({ signal });
    return msUntilNextDue({ ...prompts, ...this.#connection.scopes.of(models) });
  }

  async untilChanged({
    timeoutMs,
    signal,
  }: {
    readonly timeoutMs: number;
    readonly signal: AbortSignal;
  }): Promise<void> {
    const { pending, ended } = this.#walks;
    // The rest of the queue is not known yet.
    if (pending.isUnderWay) return;
    const passMs = Math.min(pending.msUntilNextPass ?? Infinity, ended.msUntilNextPass ?? Infinity);
    await this.#wakeUp.wait({ timeoutMs: Math.min(timeoutMs, passMs + 1), signal });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#wakeUp[Symbol.asyncDispose]();
    await this.#connection[Symbol.asyncDispose]();
  }

  async #openFor({ models, signal }: ModelOptions, more: readonly IndexUse[] = []): Promise<PromptsCollection> {
    const indexes: readonly IndexUse[] = models === undefined ? [] : ['models', ...more];
    const prompts = await this.#connection.openToWork({ signal }, indexes);
    const scoped = this.#connection.scopes.of(models);
    this.#walks = scoped.walks;
    return { ...prompts, ...scoped };
  }

  async #change<T>(
    id: string,
    change: (prompts: PromptsCollection, id: unknown) => Promise<T>,
  ): Promise<T | undefined> {
    const prompts = await this.#connection.open();
    const found = await findId(prompts, id);
    return found === undefined ? undefined : change(prompts, found.id);
  }

  #identityOf(record: StoredDocument): PromptIdentity {
    const { database, collection } = this.#connection;
    const place = { database, collection: collection.collectionName };
    return identityOf(place, documentIdOf(record._id), jobOf(record)['object_name']);
  }

  #toClaim({ record, token }: ClaimedRecord): ClaimedPrompt {
    const job = jobOf(record);
    return claimOf(this.#identityOf(record), {
      token,
      document: promptFieldsOf(record),
      fieldNames: record['field_names'],
      runId: job['run_id'],
      attempts: job['attempts'],
      previousDied: job['previous_died'] === true,
      model: job['model'],
    });
  }
}

function jobOf({ job }: StoredDocument): Readonly<Record<string, unknown>> {
  return isRecord(job) ? job : {};
}
