/** The last preview of each job, in the table `text2img_previews`. */
import { isRecord, own } from '../../../lib/foreign-record.ts';
import type { Preview, SideData } from '../../side-data.ts';
import { PREVIEW_MS } from '../../side-data.ts';
import { parsedJson } from '../../side-records.ts';
import { NOW_MS, type Row } from '../statements.ts';
import { removeRow, rowOf, type SideTables } from './side-tables.ts';

const TABLE = 'text2img_previews';
const PUT = `
INSERT INTO ${TABLE} (id, value, until_ms, png) VALUES (?1, ?2, ${NOW_MS} + ${PREVIEW_MS}, ?3)
ON CONFLICT (id) DO UPDATE SET value = excluded.value, until_ms = excluded.until_ms, png = excluded.png`;

export function previewsIn(tables: SideTables): SideData['previews'] {
  return {
    put: async ({ promptId, png, ...about }) => {
      await tables.write(TABLE, (statements) => statements.run(PUT, promptId, JSON.stringify(about), png));
    },
    get: (promptId) => tables.read((statements) => toPreview(promptId, rowOf(statements, TABLE, promptId)), undefined),
    remove: async (promptId) => {
      await tables.write(TABLE, (statements) => removeRow(statements, TABLE, promptId));
    },
  };
}

function toPreview(promptId: string, row: Row | undefined): Preview | undefined {
  const about = parsedJson(row?.['value']);
  const png = row?.['png'];
  if (!isRecord(about) || !(png instanceof Uint8Array)) return undefined;
  const number = (name: string): number => Number(own(about, name));
  return { promptId, token: String(own(about, 'token')), png, step: number('step'), steps: number('steps') };
}
