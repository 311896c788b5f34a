/** Marks of the jobs that somebody waits for: the table `text2img_watch`. */
import type { SideData } from '../../side-data.ts';
import { WATCH_MS } from '../../side-data.ts';
import { NOW_MS, type Statements } from '../statements.ts';
import type { SideTables } from './side-tables.ts';

const TABLE = 'text2img_watch';
const MARK = `
INSERT INTO ${TABLE} (id, value, until_ms) VALUES (?1, '', ${NOW_MS} + ?2)
ON CONFLICT (id) DO UPDATE SET until_ms = max(until_ms, excluded.until_ms)`;
const MS_LEFT = `SELECT until_ms - ${NOW_MS} AS left_ms FROM ${TABLE} WHERE id = ?1`;

export function watchesIn(tables: SideTables): SideData['watches'] {
  return {
    mark: async (promptId, forMs = WATCH_MS) => {
      await tables.write(TABLE, (statements) => statements.run(MARK, promptId, Math.round(forMs)));
    },
    marked: (promptIds) =>
      tables.read((statements) => new Set(promptIds.filter((promptId) => isWatched(statements, promptId))), new Set()),
    msLeft: (promptId) => tables.read((statements) => msLeft(statements, promptId), 0),
  };
}

export function isWatched(statements: Statements, promptId: string): boolean {
  return msLeft(statements, promptId) > 0;
}

function msLeft(statements: Statements, promptId: string): number {
  return Math.max(0, Number(statements.get(MS_LEFT, promptId)?.['left_ms'] ?? 0));
}
