/** Repeated requests, jobs that a repeated request may take over, and values that are kept for good: the table `text2img_requests`. */
import { isRecord, own } from '../../../lib/foreign-record.ts';
import type { Orphan, SideData } from '../../side-data.ts';
import { ORPHAN_MS, REQUEST_MS } from '../../side-data.ts';
import { parsedJson, sideKey, sideRange, textsOf } from '../../side-records.ts';
import type { Row, Statements } from '../statements.ts';
import { LASTS, putRow, removeRow, rowOf, type SideTables } from './side-tables.ts';
import { isWatched } from './watches.ts';

const TABLE = 'text2img_requests';
/** Of the jobs of one key so many are looked at. */
const MOST = 100;
const OFFERED = `SELECT * FROM ${TABLE} WHERE id >= ?1 AND id < ?2 AND ${LASTS} ORDER BY id LIMIT ${MOST}`;
const WITHDRAW = `DELETE FROM ${TABLE} WHERE id >= ?1 AND id < ?2`;

export function requestsIn(tables: SideTables): SideData['requests'] {
  const keyOf = (id: string): string => sideKey('request', id);
  return {
    begin: ({ id, bodyHash, promptIds }) =>
      tables.write(TABLE, (statements) => {
        const found = valueOf(rowOf(statements, TABLE, keyOf(id)));
        if (found !== undefined)
          return {
            id,
            bodyHash: String(own(found, 'bodyHash')),
            promptIds: textsOf(own(found, 'promptIds')),
            isAdded: own(found, 'isAdded') === true,
            isNew: false,
          };
        const value = JSON.stringify({ bodyHash, promptIds });
        putRow(statements, TABLE, keyOf(id), { value, forMs: REQUEST_MS });
        return { id, bodyHash, promptIds, isAdded: false, isNew: true };
      }),
    added: async (id) => {
      await tables.write(TABLE, (statements) =>
        statements.run(
          `UPDATE ${TABLE} SET value = json_set(value, '$.isAdded', json('true')) WHERE id = ?1`,
          keyOf(id),
        ),
      );
    },
  };
}

export function orphansIn(tables: SideTables): SideData['orphans'] {
  return {
    offer: async ({ key, promptId, door, isReleased }) => {
      const value = JSON.stringify({ promptId, door, isReleased });
      await tables.write(TABLE, (statements) =>
        putRow(statements, TABLE, sideKey('orphan', key, promptId, door), { value, forMs: ORPHAN_MS }),
      );
    },
    take: (key) =>
      tables.write(TABLE, (statements) => {
        const { from, before } = sideRange('orphan', key);
        const offered = statements.all(OFFERED, from, before).map((row) => toOffered(statements, row));
        const first = offered.toSorted((a, b) => a.rank - b.rank)[0];
        if (first === undefined) return undefined;
        removeRow(statements, TABLE, first.id);
        return first.orphan;
      }),
    withdraw: async (key, promptId, door) => {
      const { from, before } = sideRange('orphan', key, promptId);
      await tables.write(TABLE, (statements) =>
        door === undefined
          ? void statements.run(WITHDRAW, from, before)
          : removeRow(statements, TABLE, sideKey('orphan', key, promptId, door)),
      );
    },
  };
}

export function settingsIn(tables: SideTables): SideData['settings'] {
  const keyOf = (key: string): string => sideKey('setting', key);
  return {
    get: (key) => tables.read((statements) => parsedJson(rowOf(statements, TABLE, keyOf(key))?.['value']), undefined),
    set: async (key, value) => {
      await tables.write(TABLE, (statements) =>
        putRow(statements, TABLE, keyOf(key), { value: JSON.stringify(value) }),
      );
    },
  };
}

interface Offered {
  readonly id: string;
  readonly orphan: Orphan;
  readonly rank: number;
}

function toOffered(statements: Statements, row: Row): Offered {
  const value = valueOf(row) ?? {};
  const orphan = {
    promptId: String(own(value, 'promptId')),
    door: String(own(value, 'door')),
    isReleased: own(value, 'isReleased') === true,
  };
  const rank = orphan.isReleased ? 0 : isWatched(statements, orphan.promptId) ? 2 : 1;
  return { id: String(row['id']), orphan, rank };
}

function valueOf(row: Row | undefined): Readonly<Record<string, unknown>> | undefined {
  const value = parsedJson(row?.['value']);
  return isRecord(value) ? value : undefined;
}
