/** Marks of the jobs that somebody waits for: the table `text2img_watch`. Its `value` says until when previews are wanted, in milliseconds. */
import type { SideData, WatchMark } from '../../side-data.ts';
import { WATCH_MS } from '../../side-data.ts';
import { NOW_MS, type Row, type Statements } from '../statements.ts';
import type { SideTables } from './side-tables.ts';

const TABLE = 'text2img_watch';
const UNTIL = `${NOW_MS} + ?2`;
const MARK = `
INSERT INTO ${TABLE} (id, value, until_ms) VALUES (?1, CASE WHEN ?3 THEN CAST(${UNTIL} AS TEXT) ELSE '' END, ${UNTIL})
ON CONFLICT (id) DO UPDATE SET until_ms = max(until_ms, excluded.until_ms),
  value = CASE WHEN CAST(excluded.value AS INTEGER) > CAST(value AS INTEGER) THEN excluded.value ELSE value END`;
const LEFT = `
SELECT until_ms - ${NOW_MS} AS left_ms, CAST(value AS INTEGER) > ${NOW_MS} AS wants_previews FROM ${TABLE} WHERE id = ?1`;

export function watchesIn(tables: SideTables): SideData['watches'] {
  return {
    mark: async (marks, forMs = WATCH_MS) => {
      if (marks.length === 0) return;
      await tables.write(TABLE, (statements) => {
        for (const { promptId, wantsPreviews } of marks)
          statements.run(MARK, promptId, Math.round(forMs), wantsPreviews ? 1 : 0);
      });
    },
    marked: (promptIds) =>
      tables.read(
        (statements) => new Map(promptIds.flatMap((promptId) => marksOf(statements, promptId))),
        new Map<string, Pick<WatchMark, 'wantsPreviews'>>(),
      ),
    msLeft: (promptId) => tables.read((statements) => msLeft(statements.get(LEFT, promptId)), 0),
  };
}

export function isWatched(statements: Statements, promptId: string): boolean {
  return msLeft(statements.get(LEFT, promptId)) > 0;
}

function marksOf(
  statements: Statements,
  promptId: string,
): readonly (readonly [string, Pick<WatchMark, 'wantsPreviews'>])[] {
  const row = statements.get(LEFT, promptId);
  return msLeft(row) > 0 ? [[promptId, { wantsPreviews: row?.['wants_previews'] === 1 }]] : [];
}

function msLeft(row: Row | undefined): number {
  return Math.max(0, Number(row?.['left_ms'] ?? 0));
}
