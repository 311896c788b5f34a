/** Marks of the jobs that somebody waits for. All marks of a call are one statement. */
import type { SideData } from '../../side-data.ts';
import { WATCH_MS } from '../../side-data.ts';
import { fromNow } from '../expressions.ts';
import { DUPLICATE_KEY, mongoErrorCode } from '../mongo-errors.ts';
import { HINT_ONLY, LASTS, type SideCollection, type SideCollections } from './side-collections.ts';

const NAME = 'text2img_watch';

export function watchesIn(side: SideCollections): SideData['watches'] {
  return {
    mark: async (marks, forMs = WATCH_MS) => {
      if (marks.length === 0) return;
      const until = { $max: ['$until', fromNow(forMs)] };
      const previews = { $max: ['$previews_until', fromNow(forMs)] };
      const writes = marks.map(({ promptId, wantsPreviews }) => {
        const update = [{ $set: wantsPreviews ? { until, previews_until: previews } : { until } }];
        return { updateOne: { filter: { _id: side.key(promptId) }, update, upsert: true } };
      });
      const write = (collection: SideCollection) => collection.bulkWrite(writes, { ordered: false, ...HINT_ONLY });
      await side.write(NAME, (collection) =>
        write(collection).catch((error: unknown) => {
          // Two servers made one mark at once: now it is there.
          if (mongoErrorCode(error) !== DUPLICATE_KEY) throw error;
          return write(collection);
        }),
      );
    },
    marked: async (promptIds) => {
      if (promptIds.length === 0) return new Map();
      const byKey = new Map(promptIds.map((promptId) => [side.key(promptId), promptId]));
      const filter = { _id: { $in: [...byKey.keys()] }, ...LASTS };
      const projection = { wants_previews: { $gt: ['$previews_until', '$$NOW'] } };
      const found = await side.read(NAME, (collection) => collection.find(filter, { projection }).toArray(), []);
      return new Map(
        found.flatMap(({ _id, wants_previews: wantsPreviews }) => {
          const promptId = byKey.get(_id);
          return promptId === undefined ? [] : [[promptId, { wantsPreviews: wantsPreviews === true }] as const];
        }),
      );
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
