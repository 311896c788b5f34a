/** The SQLite file behind the embedded queue: its schema, its clock, and its errors as ours. */
import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite';
import { Text2ImgError } from '../../errors/text2img-error.ts';

/** Bumped with the schema; a file of a newer version is refused. */
const SCHEMA_VERSION = 2;

/** How long a statement waits for another process's write; each takes well under a millisecond. */
const BUSY_TIMEOUT_MS = 10_000;

/** The queue's clock in milliseconds: SQLite's, so that every process on the machine reads the same one. */
export const NOW_MS = "CAST(unixepoch('subsec') * 1000 AS INTEGER)";

const SCHEMA = `
CREATE TABLE prompts (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  id_kind TEXT NOT NULL,
  -- what the user wrote, as he wrote it
  document TEXT NOT NULL,
  priority REAL NOT NULL DEFAULT 0,
  status TEXT NOT NULL DEFAULT 'pending',
  enqueued_ms INTEGER NOT NULL,
  -- who owns the claim, and until when
  token TEXT,
  owner TEXT,
  lease_until_ms INTEGER,
  -- which run of the prompt this is, and its attempts
  run_id TEXT,
  attempts INTEGER NOT NULL DEFAULT 0,
  resume INTEGER NOT NULL DEFAULT 0,
  -- 1: given a time for its next attempt by retry-later, so its lease did not run out under a dead worker
  awaits_retry INTEGER NOT NULL DEFAULT 0,
  -- 1: the attempt before this one ended without a verdict
  previous_died INTEGER NOT NULL DEFAULT 0,
  progress_step INTEGER,
  progress_steps INTEGER,
  -- how it ended
  finished_ms INTEGER,
  image_urls TEXT,
  seed INTEGER,
  parameters TEXT,
  warnings TEXT,
  error TEXT
) STRICT;
CREATE INDEX prompts_pending ON prompts (priority DESC, seq) WHERE status = 'pending';
CREATE INDEX prompts_processing ON prompts (lease_until_ms) WHERE status = 'processing';
`;

/** Since version 2: the webhooks that are owed. */
const WEBHOOKS = `
CREATE TABLE webhooks (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  prompt_id TEXT NOT NULL,
  -- the exact bytes to be sent
  body TEXT NOT NULL,
  -- the document's own; NULL: the operator's
  url TEXT,
  state TEXT NOT NULL DEFAULT 'pending',
  attempts INTEGER NOT NULL DEFAULT 0,
  due_ms INTEGER NOT NULL,
  -- who is trying
  token TEXT,
  error TEXT,
  delivered_ms INTEGER
) STRICT;
CREATE INDEX webhooks_pending ON webhooks (due_ms) WHERE state = 'pending';
`;

export type Row = Readonly<Record<string, unknown>>;

export class Database implements Disposable {
  readonly path: string;
  readonly #db: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();

  /** Makes the file and its folder if they are not there. @throws `queue_failed`, `disk_full` */
  constructor(path: string) {
    this.path = path;
    try {
      mkdirSync(dirname(path), { recursive: true });
      this.#db = new DatabaseSync(path, { timeout: BUSY_TIMEOUT_MS });
      // WAL: readers do not wait for the writer. FULL: what a caller was told is on the disk, whatever the power does.
      this.#db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;');
      this.#migrate();
    } catch (error) {
      throw queueError(error, path);
    }
  }

  #migrate(): void {
    this.#db.exec('BEGIN IMMEDIATE');
    try {
      const version = Number(this.#db.prepare('PRAGMA user_version').get()?.['user_version']);
      if (version > SCHEMA_VERSION) {
        throw new Text2ImgError(
          'queue_failed',
          `the queue ${this.path} has version ${version}, but this program knows versions up to ${SCHEMA_VERSION}; use a newer text2img.`,
        );
      }
      if (version < 1) this.#db.exec(SCHEMA);
      if (version < 2) this.#db.exec(WEBHOOKS);
      this.#db.exec(`PRAGMA user_version = ${SCHEMA_VERSION}`);
      this.#db.exec('COMMIT');
    } catch (error) {
      if (this.#db.isTransaction) this.#db.exec('ROLLBACK');
      this.#db.close();
      throw error;
    }
  }

  /** The rows that one statement gives, its `RETURNING` included. @throws `queue_failed`, `disk_full` */
  all(sql: string, ...parameters: readonly SQLInputValue[]): readonly Row[] {
    return this.#guard(() => this.#prepared(sql).all(...parameters));
  }

  get(sql: string, ...parameters: readonly SQLInputValue[]): Row | undefined {
    return this.#guard(() => this.#prepared(sql).get(...parameters));
  }

  /** How many rows one statement changed. */
  run(sql: string, ...parameters: readonly SQLInputValue[]): number {
    return this.#guard(() => Number(this.#prepared(sql).run(...parameters).changes));
  }

  /** All of `action`'s statements or none. */
  transaction<T>(action: () => T): T {
    return this.#guard(() => {
      this.#db.exec('BEGIN IMMEDIATE');
      try {
        const result = action();
        this.#db.exec('COMMIT');
        return result;
      } catch (error) {
        if (this.#db.isTransaction) this.#db.exec('ROLLBACK');
        throw error;
      }
    });
  }

  [Symbol.dispose](): void {
    if (this.#db.isOpen) this.#db.close();
  }

  #prepared(sql: string): StatementSync {
    const known = this.#statements.get(sql);
    if (known !== undefined) return known;
    const statement = this.#db.prepare(sql);
    this.#statements.set(sql, statement);
    return statement;
  }

  #guard<T>(action: () => T): T {
    try {
      return action();
    } catch (error) {
      throw queueError(error, this.path);
    }
  }
}

const SQLITE_FULL = 13;

function queueError(error: unknown, path: string): Text2ImgError {
  if (error instanceof Text2ImgError) return error;
  const message = error instanceof Error ? error.message : String(error);
  const isFull =
    (error as { errcode?: number }).errcode === SQLITE_FULL || (error as { code?: string }).code === 'ENOSPC';
  if (isFull) return new Text2ImgError('disk_full', `no space is left for the queue ${path}.`, { cause: error });
  return new Text2ImgError('queue_failed', `the queue ${path} cannot be used: ${message}.`, { cause: error });
}
