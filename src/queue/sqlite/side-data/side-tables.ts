/** The tables of side data: rows of JSON under a key, each until a time. Nobody finds a row that is too old; it is removed within an hour. */
import type { Database } from '../database.ts';
import { NOW_MS, type Row, type Statements } from '../statements.ts';

export type SideTable = 'text2img_requests' | 'text2img_previews' | 'text2img_watch' | 'text2img_workers';

/** In a condition: the row is not too old. */
export const LASTS = `(until_ms IS NULL OR until_ms > ${NOW_MS})`;

const PRUNE_EVERY_MS = 60 * 60_000;

export class SideTables {
  readonly #database: Database;
  readonly #prunedMs = new Map<SideTable, number>();

  constructor(database: Database) {
    this.#database = database;
  }

  /** One transaction, in which what is too old goes, once an hour. */
  async write<T>(table: SideTable, action: (statements: Statements) => T): Promise<T> {
    return this.#database.perform((statements) =>
      statements.transaction(() => {
        const nowMs = performance.now();
        if (nowMs - (this.#prunedMs.get(table) ?? -Infinity) > PRUNE_EVERY_MS) {
          this.#prunedMs.set(table, nowMs);
          statements.run(`DELETE FROM ${table} WHERE until_ms <= ${NOW_MS}`);
        }
        return action(statements);
      }),
    );
  }

  async read<T>(action: (statements: Statements) => T, nothing: T): Promise<T> {
    return this.#database.look(action, nothing);
  }
}

/** The row that is not too old. */
export function rowOf(statements: Statements, table: SideTable, key: string): Row | undefined {
  return statements.get(`SELECT * FROM ${table} WHERE id = ?1 AND ${LASTS}`, key);
}

/** @param forMs undefined: for good */
export function putRow(
  statements: Statements,
  table: Exclude<SideTable, 'text2img_previews'>,
  key: string,
  { value, forMs }: { readonly value: string; readonly forMs?: number },
): void {
  statements.run(
    `INSERT INTO ${table} (id, value, until_ms) VALUES (?1, ?2, ${NOW_MS} + ?3)
     ON CONFLICT (id) DO UPDATE SET value = excluded.value, until_ms = excluded.until_ms`,
    key,
    value,
    forMs ?? null,
  );
}

export function removeRow(statements: Statements, table: SideTable, key: string): void {
  statements.run(`DELETE FROM ${table} WHERE id = ?1`, key);
}
