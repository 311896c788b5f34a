/**
 * The SQLite file behind the embedded queue. No statement makes the event loop wait for a lock for longer than a moment. If another process holds the
 * lock, the statement is repeated after a pause, until the lock is free, the caller stops, or the patience ends. The next statement notices if the
 * open file was removed or replaced. SQLite itself would go on with a file that nobody can see any more.
 */
import { type BigIntStats, closeSync, constants, openSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { quote } from '../../lib/foreign-text.ts';
import { makeFolderSync } from '../../lib/make-folder.ts';
import { growingPauseMs, pause } from '../../lib/pause.ts';
import { prepareSchema } from './schema.ts';
import { isBusy, queueError } from './sqlite-errors.ts';
import { Statements } from './statements.ts';

/** How long the event loop may stand for another process's write; nearly all take well under a millisecond. */
const BUSY_TIMEOUT_MS = 20;
/** Between two tries at a locked file. */
const LOCK_PAUSES = { firstMs: 5, maxMs: 250 } as const;
/** An `enqueue` of a million lines holds the lock for about ten seconds. */
const PATIENCE_MS = 60_000;

const FILE_MODE = 0o600;
const FOLDER_MODE = 0o750;

export interface DatabaseOptions {
  readonly path: string;
  /** Where there is no file, none is made, and nothing is in it. */
  readonly looksOnly?: boolean | undefined;
}

export interface StatementControl {
  /** Aborted: a locked file is waited for no longer. */
  readonly signal?: AbortSignal | undefined;
  /** How long a locked file is waited for. */
  readonly patienceMs?: number | undefined;
}

interface Connection {
  readonly db: DatabaseSync;
  readonly statements: Statements;
  /** The file that was opened. */
  readonly file: BigIntStats;
}

export class Database implements Disposable {
  readonly path: string;
  readonly #looksOnly: boolean;
  readonly #closed = new AbortController();
  #connection: Connection | undefined;

  /** Makes the file and its folder if they are not there. @throws `queue_failed`, `queue_damaged`, `disk_full` */
  constructor({ path, looksOnly = false }: DatabaseOptions) {
    this.path = path;
    this.#looksOnly = looksOnly;
    try {
      this.#connect();
    } catch (error) {
      // Locked by another process: the first statement tries again.
      if (!isBusy(error)) throw queueError(error, path);
    }
  }

  /**
   * Runs `action`, whose statements are all tried again while the file is locked.
   * @throws `queue_failed`, `queue_damaged`, `disk_full`
   */
  async perform<T>(action: (statements: Statements) => T, control: StatementControl = {}): Promise<T> {
    const done = await this.#perform(action, control);
    if (done === undefined)
      throw new Text2ImgError('queue_failed', `the queue ${quote(this.path, 300)} does not exist.`);
    return done.result;
  }

  /** As `perform`; returns `nothing` if there is no file and `looksOnly` is set. */
  async look<T>(action: (statements: Statements) => T, nothing: T, control: StatementControl = {}): Promise<T> {
    const done = await this.#perform(action, control);
    return done === undefined ? nothing : done.result;
  }

  [Symbol.dispose](): void {
    this.#closed.abort();
    if (this.#connection?.db.isOpen) this.#connection.db.close();
    this.#connection = undefined;
  }

  async #perform<T>(
    action: (statements: Statements) => T,
    { signal, patienceMs = PATIENCE_MS }: StatementControl,
  ): Promise<{ readonly result: T } | undefined> {
    const startedMs = performance.now();
    const isOver = (): boolean => this.#closed.signal.aborted || signal?.aborted === true;
    for (let failures = 1; ; failures++) {
      if (isOver()) throw new Text2ImgError('queue_failed', `the queue ${quote(this.path, 300)} is closed.`);
      try {
        const connection = this.#connect();
        if (connection === undefined) return undefined;
        this.#checkFile(connection);
        return { result: action(connection.statements) };
      } catch (error) {
        const hasPatience = performance.now() - startedMs < patienceMs;
        if (!isBusy(error) || !hasPatience) throw this.#explain(error);
      }
      const ends = signal === undefined ? this.#closed.signal : AbortSignal.any([signal, this.#closed.signal]);
      await pause(growingPauseMs(failures, LOCK_PAUSES), ends);
    }
  }

  #connect(): Connection | undefined {
    if (this.#connection !== undefined) return this.#connection;
    if (this.#looksOnly && statOf(this.path) === undefined) return undefined;
    makeFile(this.path);
    const db = new DatabaseSync(this.path, { timeout: BUSY_TIMEOUT_MS });
    try {
      prepareSchema(db, this.path);
      const file = statOf(this.path);
      if (file === undefined) throw removed(this.path);
      this.#connection = { db, statements: new Statements(db), file };
      return this.#connection;
    } catch (error) {
      db.close();
      throw error;
    }
  }

  #checkFile({ file }: Connection): void {
    const now = statOf(this.path);
    if (now === undefined || now.ino !== file.ino || now.dev !== file.dev) throw removed(this.path);
  }

  /** If the file went away during a statement, that is the cause of the statement's error. */
  #explain(error: unknown): Text2ImgError {
    if (error instanceof Text2ImgError) return error;
    if (this.#connection !== undefined && statOf(this.path) === undefined) return removed(this.path);
    return queueError(error, this.path);
  }
}

function removed(path: string): Text2ImgError {
  return new Text2ImgError(
    'queue_damaged',
    `the file of the queue ${quote(path, 300)} was removed or replaced while it was in use.`,
  );
}

function statOf(path: string): BigIntStats | undefined {
  return statSync(path, { bigint: true, throwIfNoEntry: false });
}

/**
 * Makes the file with its mode, which SQLite's side files take over; a file that exists keeps its own. An existing file is never opened here: closing
 * it would release the locks that another connection of this process holds on it (POSIX).
 */
function makeFile(path: string): void {
  const existing = statOf(path);
  if (existing === undefined) {
    makeFolderSync(dirname(path), { mode: FOLDER_MODE });
    closeSync(openSync(path, constants.O_CREAT | constants.O_RDWR, FILE_MODE));
  } else if (!existing.isFile()) {
    const what = existing.isDirectory() ? 'a folder' : 'no plain file';
    throw new Text2ImgError(
      'queue_damaged',
      `${quote(path, 300)} is ${what}, so it cannot be a queue; name another --data-dir.`,
    );
  }
}
