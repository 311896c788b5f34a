/** Marks of the jobs that somebody waits for. */
import type { SideData } from '../../side-data.ts';
import { WATCH_MS } from '../../side-data.ts';
import { fromNow } from '../expressions.ts';
import { HINT_ONLY, LASTS, type SideCollections } from './side-collections.ts';

const NAME = 'text2img_watch';

export function watchesIn(side: SideCollections): SideData['watches'] {
  return {
    mark: async (promptId, forMs = WATCH_MS) => {
      const update = [{ $set: { until: { $max: ['$until', fromNow(forMs)] } } }];
      await side.write(NAME, (collection) =>
        collection.updateOne({ _id: side.key(promptId) }, update, { upsert: true, ...HINT_ONLY }),
      );
    },
    marked: async (promptIds) => {
      if (promptIds.length === 0) return new Set();
      const byKey = new Map(promptIds.map((promptId) => [side.key(promptId), promptId]));
      const filter = { _id: { $in: [...byKey.keys()] }, ...LASTS };
      const found = await side.read(
        NAME,
        (collection) => collection.find(filter, { projection: { _id: 1 } }).toArray(),
        [],
      );
      return new Set(found.map(({ _id }) => byKey.get(_id)).filter((promptId) => promptId !== undefined));
    },
    msLeft: async (promptId) => {
      const projection = { left: { $subtract: ['$until', '$$NOW'] } };
      const found = await side.read(
        NAME,
        (collection) => collection.findOne({ _id: side.key(promptId), ...LASTS }, { projection }),
        null,
      );
      return Math.max(0, Number(found?.['left'] ?? 0));
    },
  };
}
