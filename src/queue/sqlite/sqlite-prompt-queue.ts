/** The embedded queue: many worker processes of one machine on one SQLite file. Keeps the contract of `prompt-queue.ts`. */
import { resolve } from 'node:path';
import { type DocumentId, promptIdText } from '../../job/document-id.ts';
import { EndablePause } from '../../lib/endable-pause.ts';
import { untilAborted } from '../../lib/until-aborted.ts';
import type {
  CancelOptions,
  ChangeListeners,
  ClaimedPrompt,
  ClaimOptions,
  CompletionRecord,
  DepthOptions,
  DrainState,
  Endings,
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
import { MAX_STUCK_TOLD, outcomeOf, stuckSentence } from '../transitions.ts';
import type { OwedWebhook, WebhookOutbox } from '../webhook-outbox.ts';
import { adopt, type Doors } from './adopt.ts';
import { cancel } from './cancel.ts';
import { claim } from './claim.ts';
import { firstTurn } from './claim-order.ts';
import { complete } from './complete.ts';
import { Database } from './database.ts';
import type { Ended } from './end-unclaimed.ts';
import { endOverdue } from './end-overdue.ts';
import { enqueue } from './enqueue.ts';
import { fail } from './fail.ts';
import {
  counts,
  drainState,
  follow,
  identify,
  idsWithPrefix,
  list,
  msUntilNextDue,
  NO_COUNTS,
  NO_JOBS,
  seqBefore,
  show,
  stuckIds,
} from './list.ts';
import { listPage } from './list-page.ts';
import { SqliteOutbox } from './outbox.ts';
import { nameObject } from './name-object.ts';
import { listenToFile, tellChange, tellPending } from './process-changes.ts';
import { depth, oldestPendingMs, placeInQueue } from './queue-depth.ts';
import { reap } from './reap.ts';
import { release } from './release.ts';
import { remove } from './remove.ts';
import { renew } from './renew.ts';
import { retryLater } from './retry-later.ts';
import { countSelected, retryBatch } from './retry-all.ts';
import { retry } from './retry.ts';
import { returnAttempts } from './return-attempts.ts';
import type { RowKey } from './rows.ts';
import { SqliteSideData } from './side-data/sqlite-side-data.ts';
import type { Statements } from './statements.ts';
import { unserved } from './unserved.ts';

export interface SqlitePromptQueueOptions {
  /** The file; it and its folder are made. */
  readonly path: string;
  /** A command that only looks makes neither. */
  readonly looksOnly?: boolean | undefined;
  readonly leaseMs: number;
  readonly maxAttempts: number;
  /** Names this worker in the documents that it owns. */
  readonly owner: string;
}

/** How long a write under a claim waits for a locked file at most. */
const MAX_CLAIM_PATIENCE_MS = 15_000;
/** Documents of one transaction, for whose time nobody else writes. */
const RETRY_BATCH = 500;
const NO_BATCH = { retried: 0, last: 0 } as const;
const NONE_OVERDUE: OverdueJobs = { ended: [], nextMs: undefined };

export class SqlitePromptQueue implements PromptQueue {
  readonly description: string;
  readonly outbox: WebhookOutbox;
  readonly sideData: SideData;
  readonly #options: SqlitePromptQueueOptions & { readonly path: string };
  readonly #database: Database;
  readonly #turn = firstTurn();
  readonly #rest = new EndablePause();
  readonly #watchers = new Set<ChangeListeners['onChange']>();
  readonly #endListening: () => void;

  /** @throws `queue_failed`, `queue_damaged`, `disk_full` */
  constructor(options: SqlitePromptQueueOptions) {
    // Whole: a fraction of a millisecond does not go into a column of whole numbers.
    this.#options = { ...options, path: resolve(options.path), leaseMs: Math.round(options.leaseMs) };
    this.#database = new Database(this.#options);
    this.outbox = new SqliteOutbox(this.#database);
    this.sideData = new SqliteSideData(this.#database);
    this.description = `the embedded queue ${this.#database.path}`;
    this.#endListening = listenToFile(this.#options.path, {
      onPending: () => this.#rest.end(),
      onChange: (id) => {
        for (const onChange of this.#watchers) onChange(id);
      },
    });
  }

  async claim({ limit, endings, signal, models, fair }: ClaimOptions): Promise<readonly ClaimedPrompt[]> {
    const options = { ...this.#options, limit, endings, models, turn: fair === true ? this.#turn : undefined };
    const { claims, ended } = await this.#database.perform((statements) => claim(statements, options), { signal });
    tell(ended, endings);
    this.#changed([...claims.map(idOf), ...ended.map(({ prompt }) => idOf(prompt))]);
    return claims;
  }

  async renew(claimed: ClaimedPrompt, progress?: JobProgress): Promise<TransitionOutcome> {
    return this.#write((statements) => renew(statements, keyOf(claimed), { ...this.#options, progress }));
  }

  async nameObject(claimed: ClaimedPrompt, objectName: string): Promise<TransitionOutcome> {
    const { leaseMs } = this.#options;
    return this.#write((statements) => nameObject(statements, keyOf(claimed), { leaseMs, objectName }));
  }

  async complete(claimed: ClaimedPrompt, record: CompletionRecord, webhook?: OwedWebhook): Promise<TransitionOutcome> {
    return this.#end(claimed, (statements) => complete(statements, keyOf(claimed), { record, webhook }));
  }

  async fail(claimed: ClaimedPrompt, failure: FailureRecord, webhook?: OwedWebhook): Promise<TransitionOutcome> {
    return this.#end(claimed, (statements) => fail(statements, keyOf(claimed), { failure, webhook }));
  }

  async retryLater(claimed: ClaimedPrompt, options: LaterOptions): Promise<TransitionOutcome> {
    return this.#write((statements) => retryLater(statements, keyOf(claimed), options));
  }

  async release(
    claimed: ClaimedPrompt,
    { attempts = 1 }: { readonly attempts?: number } = {},
  ): Promise<TransitionOutcome> {
    return this.#write((statements) => release(statements, keyOf(claimed), attempts));
  }

  async returnAttempts(waiting: WaitingPrompt): Promise<TransitionOutcome> {
    return this.#write((statements) => returnAttempts(statements, waiting));
  }

  async reap({ endings, signal }: SweepOptions = {}): Promise<number> {
    const { maxAttempts, path } = this.#options;
    const ended = await this.#database.perform((statements) => reap(statements, { maxAttempts, path, endings }), {
      signal,
    });
    tell(ended, endings);
    this.#changed(ended.map(({ prompt }) => idOf(prompt)));
    return ended.length;
  }

  async endOverdue({ signal }: StatementOptions = {}): Promise<OverdueJobs> {
    const overdue = await this.#database.look(endOverdue, NONE_OVERDUE, { signal });
    this.#changed(overdue.ended);
    return overdue;
  }

  async enqueue(documents: readonly RawPromptDocument[], options?: EnqueueOptions): Promise<readonly DocumentId[]> {
    const ids = await enqueue(this.#database, documents, options);
    tellPending(this.#options.path);
    return ids;
  }

  async counts(): Promise<QueueCounts> {
    return this.#database.look(counts, NO_COUNTS);
  }

  async list(options: ListOptions): Promise<readonly ListedJob[]> {
    // A wrong cursor is refused also where there is no queue yet.
    if (options.after !== undefined) seqBefore(options.after);
    return this.#database.look((statements) => list(statements, options), []);
  }

  async listPage(options: PageOptions): Promise<ListedPage> {
    return listPage(this.#database, options);
  }

  async follow(ids: readonly string[]): Promise<ReadonlyMap<string, FollowedJob>> {
    return this.#database.look<ReadonlyMap<string, FollowedJob>>((statements) => follow(statements, ids), new Map());
  }

  async watchChanges({ signal, onChange, onPartial }: ChangeListeners): Promise<void> {
    const watcher: ChangeListeners['onChange'] = (id) => onChange(id);
    this.#watchers.add(watcher);
    onPartial?.();
    await untilAborted(new Promise(() => {}), signal);
    this.#watchers.delete(watcher);
  }

  async show(id: string): Promise<JobSummary | undefined> {
    return this.#database.look((statements) => show(statements, id), undefined);
  }

  async idsWithPrefix(prefix: string, limit: number): Promise<readonly string[]> {
    return this.#database.look((statements) => idsWithPrefix(statements, prefix, limit), []);
  }

  async identify(id: string): Promise<PromptIdentity | undefined> {
    const { path } = this.#options;
    return this.#database.look((statements) => identify(statements, id, path), undefined);
  }

  async retry(id: string, { force = false }: { readonly force?: boolean } = {}): Promise<boolean | undefined> {
    const isRetried = await this.#change(id, (statements) => retry(statements, id, { force }));
    if (isRetried === true) tellPending(this.#options.path);
    return isRetried;
  }

  async retryAll(selection: RetrySelection): Promise<RetriedAll> {
    let [retried, after] = [0, 0];
    for (;;) {
      const options = { after, limit: RETRY_BATCH };
      const batch = await this.#database.look((statements) => retryBatch(statements, selection, options), NO_BATCH);
      retried += batch.retried;
      if (batch.retried > 0) tellPending(this.#options.path);
      if (batch.retried < RETRY_BATCH) return { retried, refused: 0 };
      after = batch.last;
    }
  }

  async countSelected(selection: RetrySelection): Promise<number> {
    return this.#database.look((statements) => countSelected(statements, selection), 0);
  }

  async cancel(id: string, options?: CancelOptions): Promise<boolean | undefined> {
    return this.#change(id, (statements) => cancel(statements, id, options));
  }

  async adopt(id: string, doors: Doors): Promise<boolean> {
    return this.#database.look((statements) => adopt(statements, id, doors), false);
  }

  async remove(id: string): Promise<boolean | undefined> {
    return this.#change(id, (statements) => remove(statements, id));
  }

  async placeInQueue(id: string, { most }: { readonly most: number }): Promise<QueuePosition | undefined> {
    return this.#database.look((statements) => placeInQueue(statements, id, most), undefined);
  }

  async depth(options: DepthOptions): Promise<number> {
    return this.#database.look((statements) => depth(statements, options), 0);
  }

  async oldestPendingMs(): Promise<number | undefined> {
    return this.#database.look(oldestPendingMs, undefined);
  }

  async msUntilNextDue({ models, signal }: ModelOptions = {}): Promise<number | undefined> {
    return this.#database.look((statements) => msUntilNextDue(statements, models), undefined, { signal });
  }

  async stuck(served?: ModelSelection): Promise<readonly string[]> {
    const look = (statements: Statements): readonly string[] => [
      ...stuckIds(statements, MAX_STUCK_TOLD).map(stuckSentence),
      ...unserved(statements, served),
    ];
    return this.#database.look(look, []);
  }

  /** Only this program writes the file, and it refuses every other status. */
  async nearMisses(): Promise<readonly string[]> {
    return [];
  }

  async drainState({ models, signal }: ModelOptions = {}): Promise<DrainState> {
    return this.#database.look((statements) => drainState(statements, models), NO_JOBS, { signal });
  }

  /** For tests and scripts. */
  async isDrained(options?: ModelOptions): Promise<boolean> {
    return (await this.drainState(options)).isDrained;
  }

  /** Other processes write the file too, and SQLite reports none of their writes. */
  async untilChanged({
    timeoutMs,
    signal,
  }: {
    readonly timeoutMs: number;
    readonly signal: AbortSignal;
  }): Promise<void> {
    await this.#rest.pause(timeoutMs, signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#endListening();
    this.#database[Symbol.dispose]();
  }

  async #write(action: (statements: Statements) => boolean): Promise<TransitionOutcome> {
    // The claim goes on ending meanwhile: who holds it decides whether to try again.
    const patienceMs = Math.min(MAX_CLAIM_PATIENCE_MS, this.#options.leaseMs / 2);
    return outcomeOf(await this.#database.perform(action, { patienceMs }));
  }

  async #end({ id }: ClaimedPrompt, action: (statements: Statements) => boolean): Promise<TransitionOutcome> {
    const outcome = await this.#write(action);
    this.#changed([promptIdText(id)]);
    return outcome;
  }

  async #change(id: string, action: (statements: Statements) => boolean): Promise<boolean | undefined> {
    const isDone = await this.#database.look(
      (statements) => action(statements) || (show(statements, id) === undefined ? undefined : false),
      undefined,
    );
    if (isDone === true) this.#changed([id]);
    return isDone;
  }

  #changed(ids: readonly string[]): void {
    if (ids.length > 0) tellChange(this.#options.path, ids);
  }
}

function idOf({ id }: Pick<ClaimedPrompt, 'id'>): string {
  return promptIdText(id);
}

/** When it has been committed. */
function tell(ended: readonly Ended[], endings: Endings | undefined): void {
  for (const { prompt, webhook } of ended) endings?.onEnded(prompt, webhook);
}

function keyOf({ id, token }: ClaimedPrompt): RowKey {
  return { id: promptIdText(id), token };
}
