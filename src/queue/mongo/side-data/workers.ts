/** Which workers live, and what they can generate. */
import type { SideData, WorkerRecord } from '../../side-data.ts';
import { WORKER_DAY_MS, WORKER_MS } from '../../side-data.ts';
import { modelsOf, workerOf, workerText } from '../../side-records.ts';
import { fromNow, literal } from '../expressions.ts';
import { HINT_ONLY, LASTS, type SideCollections, type SideDocument } from './side-collections.ts';

const NAME = 'text2img_workers';
/** More have no place on a page. */
const MOST = 10_000;

export function workersIn(side: SideCollections): SideData['workers'] {
  const find = async (filter: object): Promise<readonly WorkerRecord[]> => {
    const found = await side.read(
      NAME,
      (collection) => collection.find({ ...side.keysBelow(), ...filter }, { sort: { _id: 1 }, limit: MOST }).toArray(),
      [],
    );
    return found.map(toWorker).filter((worker) => worker !== undefined);
  };
  return {
    beat: async (worker) => {
      const record = { _id: '$_id', record: literal(workerText(worker)), at: '$$NOW', until: fromNow(WORKER_DAY_MS) };
      await side.write(NAME, (collection) =>
        collection.updateOne({ _id: side.key(worker.id) }, [{ $replaceWith: record }], { upsert: true, ...HINT_ONLY }),
      );
    },
    living: () => find({ has_left: { $ne: true }, $expr: { $gte: ['$at', { $subtract: ['$$NOW', WORKER_MS] }] } }),
    modelsOfDay: async () => modelsOf(await find(LASTS)),
    leave: async (id) => {
      await side.write(NAME, (collection) =>
        collection.updateOne({ _id: side.key(id) }, [{ $set: { has_left: true } }], HINT_ONLY),
      );
    },
  };
}

function toWorker({ record, at }: SideDocument): WorkerRecord | undefined {
  return at instanceof Date ? workerOf(record, at) : undefined;
}
