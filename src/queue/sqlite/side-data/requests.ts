/** Repeated requests, jobs that a repeated request may take over, and values that are kept for good: the table `text2img_requests`. */
import { isRecord, own } from '../../../lib/foreign-record.ts';
import type { Orphan, SideData } from '../../side-data.ts';
import { ORPHAN_MS, REQUEST_MS, TAKEN_MS } from '../../side-data.ts';
import { parsedJson, sideKey, sideRange, textsOf } from '../../side-records.ts';
import { NOW_MS, type Row, type Statements } from '../statements.ts';
import { LASTS, putRow, removeRow, rowOf, type SideTables } from './side-tables.ts';
import { isWatched } from './watches.ts';

const TABLE = 'text2img_requests';
/** Of the jobs of one key so many are looked at. */
const MOST = 100;
const OFFERED = `SELECT *, ${NOW_MS} AS now_ms FROM ${TABLE} WHERE id >= ?1 AND id < ?2 AND ${LASTS} ORDER BY id LIMIT ${MOST}`;
const TAKE = `UPDATE ${TABLE} SET value = json_set(value, '$.takenUntilMs', ${NOW_MS} + ?2) WHERE id = ?1`;
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
    take: (key, forMs = TAKEN_MS) =>
      tables.write(TABLE, (statements) => {
        const { from, before } = sideRange('orphan', key);
        const offered = statements.all(OFFERED, from, before).map((row) => toOffered(statements, row));
        if (offered.length === 0) return undefined;
        const free = offered.filter(({ isHeld }) => !isHeld);
        const first = free.find(({ orphan }) => orphan.isReleased) ?? free[0];
        if (first === undefined) return 'held';
        statements.run(TAKE, first.id, forMs);
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
  /** Somebody waits for it, or takes it. */
  readonly isHeld: boolean;
}

function toOffered(statements: Statements, row: Row): Offered {
  const value = valueOf(row) ?? {};
  const orphan = {
    promptId: String(own(value, 'promptId')),
    door: String(own(value, 'door')),
    isReleased: own(value, 'isReleased') === true,
  };
  const isTaken = Number(own(value, 'takenUntilMs') ?? 0) > Number(row['now_ms']);
  const isHeld = isTaken || (!orphan.isReleased && isWatched(statements, orphan.promptId));
  return { id: String(row['id']), orphan, isHeld };
}

function valueOf(row: Row | undefined): Readonly<Record<string, unknown>> | undefined {
  const value = parsedJson(row?.['value']);
  return isRecord(value) ? value : undefined;
}
