/** Fills a queue with many documents, for measurements: of many models and tenants, as fast as the database takes them. */
import { DatabaseSync } from 'node:sqlite';
import type { Db } from 'mongodb';

export const MODELS = 100;
export const TENANTS = 1000;

interface Documents {
  readonly size: number;
  /** Default: `pending`. */
  readonly status?: 'pending' | 'completed';
}

const BATCH = 20_000;

export async function fillMongo(
  db: Db,
  { collection, size, status = 'pending' }: Documents & { readonly collection: string },
): Promise<void> {
  for (let done = 0; done < size; done += BATCH) {
    const documents = Array.from({ length: Math.min(BATCH, size - done) }, (_, index) => ({
      text: `a prompt of some length, number ${done + index}`,
      status,
      job: { model: `m${(done + index) % MODELS}`, tenant: `t${Math.floor((done + index) / MODELS) % TENANTS}` },
    }));
    await db.collection(collection).insertMany(documents, { ordered: false });
  }
}

export function fillSqlite({ path, size, status = 'pending' }: Documents & { readonly path: string }): void {
  using file = new DatabaseSync(path);
  file.exec(`WITH RECURSIVE n(x) AS (SELECT 0 UNION ALL SELECT x + 1 FROM n WHERE x < ${size - 1})
    INSERT INTO prompts (id, id_kind, document, enqueued_ms, status, model, tenant)
    SELECT '${status}' || x, 'string', '{"text":"a prompt of some length"}', 1, '${status}', 'm' || (x % ${MODELS}),
      't' || ((x / ${MODELS}) % ${TENANTS}) FROM n`);
}
