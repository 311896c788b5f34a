/** The embedded queue: many worker processes of one machine on one SQLite file. Keeps the contract of `prompt-queue.ts`. */
import { resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { canonicalEjsonOf, type DocumentId, promptIdText } from '../../job/document-id.ts';
import { PROMPT_FIELDS } from '../../job/prompt-document.ts';
import { diedWithoutVerdict } from '../failure-text.ts';
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
import { cancel } from './cancel.ts';
import { claim } from './claim.ts';
import { complete } from './complete.ts';
import { Database, type Row } from './database.ts';
import { enqueue } from './enqueue.ts';
import { fail } from './fail.ts';
import { counts, list, msUntilNextDue, show } from './list.ts';
import { SqliteOutbox } from './outbox.ts';
import { reap } from './reap.ts';
import { release } from './release.ts';
import { renew } from './renew.ts';
import { retryLater } from './retry-later.ts';
import { retry } from './retry.ts';
import { returnAttempts } from './return-attempts.ts';

export interface SqlitePromptQueueOptions {
  /** The file; it and its folder are made. */
  readonly path: string;
  readonly leaseMs: number;
  readonly maxAttempts: number;
  /** Names this worker in the documents that it owns. */
  readonly owner: string;
}

export class SqlitePromptQueue implements PromptQueue {
  readonly description: string;
  readonly outbox: WebhookOutbox;
  readonly #options: SqlitePromptQueueOptions;
  readonly #database: Database;

  /** @throws `queue_failed`, `disk_full` */
  constructor(options: SqlitePromptQueueOptions) {
    this.#options = options;
    this.#database = new Database(resolve(options.path));
    this.outbox = new SqliteOutbox(this.#database);
    this.description = `the embedded queue ${this.#database.path}`;
  }

  async claim({ limit }: { readonly limit: number }): Promise<readonly ClaimedPrompt[]> {
    return claim(this.#database, { ...this.#options, limit }).map((row) => this.#toClaim(row));
  }

  async renew(claimed: ClaimedPrompt, progress?: JobProgress): Promise<TransitionOutcome> {
    return outcome(renew(this.#database, keyOf(claimed), { leaseMs: this.#options.leaseMs, progress }));
  }

  async complete(claimed: ClaimedPrompt, record: CompletionRecord, webhook?: OwedWebhook): Promise<TransitionOutcome> {
    return outcome(complete(this.#database, keyOf(claimed), { record, webhook }));
  }

  async fail(claimed: ClaimedPrompt, failure: FailureRecord, webhook?: OwedWebhook): Promise<TransitionOutcome> {
    return outcome(fail(this.#database, keyOf(claimed), { failure, webhook }));
  }

  async retryLater(
    claimed: ClaimedPrompt,
    options: { readonly delayMs: number; readonly failure: FailureRecord; readonly waitToken?: string },
  ): Promise<TransitionOutcome> {
    const { delayMs, failure, waitToken } = options;
    const died = diedWithoutVerdict(failure);
    return outcome(retryLater(this.#database, keyOf(claimed), { delayMs, died, waitToken }));
  }

  async release(
    claimed: ClaimedPrompt,
    { attempts = 1 }: { readonly attempts?: number } = {},
  ): Promise<TransitionOutcome> {
    return outcome(release(this.#database, keyOf(claimed), attempts));
  }

  async returnAttempts(waiting: WaitingPrompt): Promise<TransitionOutcome> {
    return outcome(returnAttempts(this.#database, waiting));
  }

  async reap(): Promise<number> {
    return reap(this.#database, this.#options.maxAttempts);
  }

  async enqueue(documents: readonly RawPromptDocument[]): Promise<readonly DocumentId[]> {
    return enqueue(this.#database, documents);
  }

  async counts(): Promise<QueueCounts> {
    return counts(this.#database);
  }

  async list(options: { readonly status?: JobStatus; readonly limit: number }): Promise<readonly JobSummary[]> {
    return list(this.#database, options);
  }

  async show(id: string): Promise<JobSummary | undefined> {
    return show(this.#database, id);
  }

  async retry(id: string, { force = false }: { readonly force?: boolean } = {}): Promise<boolean | undefined> {
    if (retry(this.#database, id, { force })) return true;
    return show(this.#database, id) === undefined ? undefined : false;
  }

  async cancel(id: string): Promise<boolean | undefined> {
    if (cancel(this.#database, id)) return true;
    return show(this.#database, id) === undefined ? undefined : false;
  }

  async msUntilNextDue(): Promise<number | undefined> {
    return msUntilNextDue(this.#database);
  }

  /** Whatever is in the file can be written. */
  async stuck(): Promise<readonly string[]> {
    return [];
  }

  async drainState(): Promise<DrainState> {
    return { isDrained: await this.isDrained(), refused: 0, stuck: 0 };
  }

  async isDrained(): Promise<boolean> {
    const { pending, processing } = counts(this.#database);
    return pending === 0 && processing === 0;
  }

  /** Other processes write the file; SQLite tells nobody, so this only waits. */
  async untilChanged({
    timeoutMs,
    signal,
  }: {
    readonly timeoutMs: number;
    readonly signal: AbortSignal;
  }): Promise<void> {
    await sleep(timeoutMs, undefined, { signal }).catch(() => undefined);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#database[Symbol.dispose]();
  }

  #toClaim(row: Row): ClaimedPrompt {
    const id = idOf(row);
    const place = { database: this.#database.path, collection: 'prompts' };
    const document = JSON.parse(String(row['document'])) as RawPromptDocument;
    const fields = PROMPT_FIELDS.filter((name) => Object.hasOwn(document, name));
    return {
      id,
      docKey: `${JSON.stringify(place).slice(0, -1)},"_id":${canonicalEjsonOf(id)}}`,
      token: String(row['token']),
      runId: String(row['run_id']),
      attempt: Number(row['attempts']),
      previousAttemptDied: row['previous_died'] === 1,
      document: Object.fromEntries(fields.map((name) => [name, document[name]])),
    };
  }
}

function outcome(done: boolean): TransitionOutcome {
  return done ? 'done' : 'lost';
}

function keyOf({ id, token }: ClaimedPrompt): { readonly id: string; readonly token: string } {
  return { id: promptIdText(id), token };
}

function idOf(row: Row): DocumentId {
  const text = String(row['id']);
  switch (row['id_kind']) {
    case 'object_id':
      return { kind: 'object_id', hex: text };
    case 'integer':
      return { kind: 'integer', decimal: text };
    default:
      return { kind: 'string', value: text };
  }
}
