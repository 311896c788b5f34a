/** Requests that are waited for, by caller: rows of the table `text2img_requests`. */
import { isRecord, own } from '../../../lib/foreign-record.ts';
import type { SideData, WaitingRequest } from '../../side-data.ts';
import { MOST_WAITS, WAIT_MS } from '../../side-data.ts';
import { parsedJson, requestStopOf, sideKey, sideRange, textsOf } from '../../side-records.ts';
import { NOW_MS, type Row } from '../statements.ts';
import { LASTS, removeRow, type SideTables } from './side-tables.ts';

const TABLE = 'text2img_requests';
/** The new facts replace the old ones, but for two that stay: when a worker began, and how it was stopped. */
const KEEP = `
INSERT INTO ${TABLE} (id, value, until_ms)
VALUES (?1, iif(?4, json_set(?2, '$.begunMs', ${NOW_MS}), ?2), ${NOW_MS} + ?3)
ON CONFLICT (id) DO UPDATE SET value = json_patch(excluded.value, json_remove(value, '$.isLeft')), until_ms = excluded.until_ms`;
const OF = `
SELECT *, ${NOW_MS} - json_extract(value, '$.begunMs') AS elapsed_ms FROM ${TABLE}
WHERE id >= ?1 AND id < ?2 AND ${LASTS} ORDER BY id LIMIT ${MOST_WAITS}`;
const INTERRUPT = `UPDATE ${TABLE} SET value = json_set(value, '$.stop', ?2) WHERE id = ?1 AND ${LASTS}`;
/** Not where it was interrupted. */
const SKIP = `UPDATE ${TABLE} SET value = json_insert(value, '$.stop', ?2) WHERE id = ?1 AND ${LASTS}`;

export function waitsIn(tables: SideTables): SideData['waits'] {
  const keyOf = (caller: string, id: string): string => sideKey('wait', caller, id);
  return {
    keep: async (caller, { id, promptIds }, { hasBegun = false, isLeft = false, forMs = WAIT_MS } = {}) => {
      const value = JSON.stringify({ id, promptIds, ...(isLeft ? { isLeft } : {}) });
      await tables.write(TABLE, (statements) =>
        statements.run(KEEP, keyOf(caller, id), value, Math.round(forMs), hasBegun ? 1 : 0),
      );
    },
    of: (caller) => {
      const { from, before } = sideRange('wait', caller);
      return tables.read((statements) => statements.all(OF, from, before).flatMap(toWaiting), []);
    },
    stop: async (caller, id, stop) => {
      const sql = stop === 'skipped' ? SKIP : INTERRUPT;
      await tables.write(TABLE, (statements) => statements.run(sql, keyOf(caller, id), stop));
    },
    end: async (caller, id) => {
      await tables.write(TABLE, (statements) => removeRow(statements, TABLE, keyOf(caller, id)));
    },
  };
}

function toWaiting(row: Row): WaitingRequest | [] {
  const value = parsedJson(row['value']);
  if (!isRecord(value)) return [];
  const elapsedMs = row['elapsed_ms'];
  return {
    id: String(own(value, 'id')),
    promptIds: textsOf(own(value, 'promptIds')),
    isLeft: own(value, 'isLeft') === true,
    stop: requestStopOf(own(value, 'stop')),
    elapsedMs: typeof elapsedMs === 'number' ? Math.max(0, elapsedMs) : undefined,
  };
}
