/** Which workers live, and what they can generate: the table `text2img_workers`. */
import type { SideData, WorkerRecord } from '../../side-data.ts';
import { WORKER_DAY_MS, WORKER_MS } from '../../side-data.ts';
import { modelsOf, workerOf, workerText } from '../../side-records.ts';
import { timeOf } from '../rows.ts';
import { NOW_MS, type Row } from '../statements.ts';
import { LASTS, putRow, type SideTables } from './side-tables.ts';

const TABLE = 'text2img_workers';
/** A row lasts a day from its last beat, so its end gives the beat's time. */
const ALL = `SELECT *, until_ms - ${WORKER_DAY_MS} AS at_ms FROM ${TABLE} WHERE ${LASTS} ORDER BY id`;
const LIVING = `
SELECT * FROM (${ALL}) WHERE at_ms >= ${NOW_MS} - ${WORKER_MS} AND json_extract(value, '$.hasLeft') IS NULL`;
const LEAVE = `UPDATE ${TABLE} SET value = json_set(value, '$.hasLeft', 1) WHERE id = ?1`;

export function workersIn(tables: SideTables): SideData['workers'] {
  const find = (sql: string): Promise<readonly WorkerRecord[]> =>
    tables.read(
      (statements) =>
        statements
          .all(sql)
          .map(toWorker)
          .filter((worker) => worker !== undefined),
      [],
    );
  return {
    beat: async (worker) => {
      await tables.write(TABLE, (statements) =>
        putRow(statements, TABLE, worker.id, { value: workerText(worker), forMs: WORKER_DAY_MS }),
      );
    },
    living: () => find(LIVING),
    modelsOfDay: async () => modelsOf(await find(ALL)),
    leave: async (id) => {
      await tables.write(TABLE, (statements) => statements.run(LEAVE, id));
    },
  };
}

function toWorker(row: Row): WorkerRecord | undefined {
  const at = timeOf(row['at_ms']);
  return at === undefined ? undefined : workerOf(row['value'], at);
}
