/** The embedded queue: many worker processes of one machine on one SQLite file. Keeps the contract of `prompt-queue.ts`. */
import { resolve } from 'node:path';
import { canonicalEjsonOf, type DocumentId, promptIdText } from '../../job/document-id.ts';
import type {
  ClaimedPrompt,
  CompletionRecord,
  FailureRecord,
  JobProgress,
  JobStatus,
  JobSummary,
  PromptQueue,
  QueueCounts,
  RawPromptDocument,
  TransitionOutcome,
} from '../prompt-queue.ts';
import { cancel } from './cancel.ts';
import { claim } from './claim.ts';
import { complete } from './complete.ts';
import { Database, type Row } from './database.ts';
import { enqueue } from './enqueue.ts';
import { fail } from './fail.ts';
import { counts, list, msUntilNextDue, show } from './list.ts';
import { reap } from './reap.ts';
import { release } from './release.ts';
import { renew } from './renew.ts';
import { retryLater } from './retry-later.ts';
import { retry } from './retry.ts';

export interface SqlitePromptQueueOptions {
  /** The file; it and its folder are made. */
  readonly path: string;
  readonly leaseMs: number;
  readonly maxAttempts: number;
  /** Names this worker in the documents that it owns. */
  readonly owner: string;
}

/** Faults under which the engine, not the document, ended the attempt. */
const WITHOUT_VERDICT: ReadonlySet<string> = new Set(['engine_crashed', 'engine_out_of_memory', 'engine_stalled']);

export class SqlitePromptQueue implements PromptQueue {
  readonly description: string;
  readonly #options: SqlitePromptQueueOptions;
  readonly #database: Database;

  /** @throws `queue_failed`, `disk_full` */
  constructor(options: SqlitePromptQueueOptions) {
    this.#options = options;
    this.#database = new Database(resolve(options.path));
    this.description = `the embedded queue ${this.#database.path}`;
  }

  async claim({ limit }: { readonly limit: number }): Promise<readonly ClaimedPrompt[]> {
    return claim(this.#database, { ...this.#options, limit }).map((row) => this.#toClaim(row));
  }

  async renew(claimed: ClaimedPrompt, progress?: JobProgress): Promise<TransitionOutcome> {
    return outcome(renew(this.#database, keyOf(claimed), { leaseMs: this.#options.leaseMs, progress }));
  }

  async complete(claimed: ClaimedPrompt, record: CompletionRecord): Promise<TransitionOutcome> {
    return outcome(complete(this.#database, keyOf(claimed), record));
  }

  async fail(claimed: ClaimedPrompt, failure: FailureRecord): Promise<TransitionOutcome> {
    return outcome(fail(this.#database, keyOf(claimed), failure));
  }

  async retryLater(
    claimed: ClaimedPrompt,
    options: { readonly delayMs: number; readonly failure: FailureRecord },
  ): Promise<TransitionOutcome> {
    const { delayMs, failure } = options;
    return outcome(retryLater(this.#database, keyOf(claimed), { delayMs, died: WITHOUT_VERDICT.has(failure.code) }));
  }

  async release(claimed: ClaimedPrompt): Promise<TransitionOutcome> {
    return outcome(release(this.#database, keyOf(claimed)));
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

  async retry(id: string): Promise<boolean | undefined> {
    if (retry(this.#database, id)) return true;
    return show(this.#database, id) === undefined ? undefined : false;
  }

  async cancel(id: string): Promise<boolean | undefined> {
    if (cancel(this.#database, id)) return true;
    return show(this.#database, id) === undefined ? undefined : false;
  }

  async msUntilNextDue(): Promise<number | undefined> {
    return msUntilNextDue(this.#database);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#database[Symbol.dispose]();
  }

  #toClaim(row: Row): ClaimedPrompt {
    const id = idOf(row);
    const place = { database: this.#database.path, collection: 'prompts' };
    const { status: _status, job: _job, ...document } = JSON.parse(String(row['document'])) as RawPromptDocument;
    return {
      id,
      docKey: `${JSON.stringify(place).slice(0, -1)},"_id":${canonicalEjsonOf(id)}}`,
      token: String(row['token']),
      runId: String(row['run_id']),
      attempt: Number(row['attempts']),
      previousAttemptDied: row['previous_died'] === 1,
      document,
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
