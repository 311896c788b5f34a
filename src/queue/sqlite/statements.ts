/** The statements of one connection, prepared once. Whole numbers beyond JavaScript's are left out of what is read instead of throwing. */
import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite';

/** The queue's clock in milliseconds: SQLite's, so that every process on the machine reads the same one. */
export const NOW_MS = "CAST(unixepoch('subsec') * 1000 AS INTEGER)";

export type Row = Readonly<Record<string, unknown>>;

export class Statements {
  readonly #db: DatabaseSync;
  readonly #prepared = new Map<string, StatementSync>();

  constructor(db: DatabaseSync) {
    this.#db = db;
  }

  /** The rows that one statement gives, its `RETURNING` included. */
  all(sql: string, ...parameters: readonly SQLInputValue[]): readonly Row[] {
    return this.#statement(sql)
      .all(...parameters)
      .map(plain);
  }

  /** Returns the result of `read` for each row, with one row in memory at a time. */
  each<T>(sql: string, parameters: readonly SQLInputValue[], read: (row: Row) => T): readonly T[] {
    const found: T[] = [];
    for (const row of this.#statement(sql).iterate(...parameters)) found.push(read(plain(row)));
    return found;
  }

  get(sql: string, ...parameters: readonly SQLInputValue[]): Row | undefined {
    const row = this.#statement(sql).get(...parameters);
    return row === undefined ? undefined : plain(row);
  }

  /** How many rows one statement changed. */
  run(sql: string, ...parameters: readonly SQLInputValue[]): number {
    return Number(this.#statement(sql).run(...parameters).changes);
  }

  /** All of `action`'s statements or none. */
  transaction<T>(action: () => T): T {
    this.#db.exec('BEGIN IMMEDIATE');
    try {
      const result = action();
      this.#db.exec('COMMIT');
      return result;
    } catch (error) {
      if (this.#db.isTransaction) this.#db.exec('ROLLBACK');
      throw error;
    }
  }

  #statement(sql: string): StatementSync {
    const known = this.#prepared.get(sql);
    if (known !== undefined) return known;
    const statement = this.#db.prepare(sql);
    statement.setReadBigInts(true);
    this.#prepared.set(sql, statement);
    return statement;
  }
}

function plain(row: Row): Row {
  return Object.fromEntries(Object.entries(row).map(([name, value]) => [name, plainValue(value)]));
}

function plainValue(value: unknown): unknown {
  if (typeof value !== 'bigint') return value;
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : undefined;
}
