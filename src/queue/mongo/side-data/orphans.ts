/** Jobs that a repeated request may take over. Each has a document of its own, so that many equal requests do not meet in one. */
import { randomBytes } from 'node:crypto';
import type { Orphan, SideData } from '../../side-data.ts';
import { ORPHAN_MS, TAKEN_MS } from '../../side-data.ts';
import { fromNow, literal } from '../expressions.ts';
import { LASTS, type SideCollection, type SideCollections, type SideDocument } from './side-collections.ts';

const NAME = 'text2img_requests';
/** Of the jobs of one key so many are looked at. */
const MOST = 100;

/** @param marked of these ids those that are watched */
export function orphansIn(side: SideCollections, marked: SideData['watches']['marked']): SideData['orphans'] {
  return {
    offer: async ({ key, promptId, door, isReleased }) => {
      const orphan = {
        _id: '$_id',
        prompt_id: literal(promptId),
        door: literal(door),
        is_released: isReleased,
        until: fromNow(ORPHAN_MS),
      };
      const _id = side.key('orphan', key, promptId, door);
      await side.write(NAME, (collection) =>
        collection.updateOne({ _id }, [{ $replaceWith: orphan }], { upsert: true }),
      );
    },
    take: async (key, forMs = TAKEN_MS) => {
      const nonce = randomBytes(16).toString('hex');
      const offered = await side.read(NAME, (collection) => findOffered(collection, side.keysBelow('orphan', key)), []);
      if (offered.length === 0) return undefined;
      const watched = await marked(offered.map(({ promptId }) => promptId));
      const free = offered.filter(({ promptId, isReleased }) => isReleased || !watched.has(promptId));
      for (const { _id } of free.toSorted((a, b) => Number(b.isReleased) - Number(a.isReleased))) {
        const taken = await side.write(NAME, (collection) => take(collection, _id, { nonce, forMs }));
        if (taken?.result) return toOrphan(taken.result);
      }
      return 'held';
    },
    withdraw: async (key, promptId, door) => {
      const below = side.keysBelow('orphan', key, promptId);
      const filter = door === undefined ? below : { _id: side.key('orphan', key, promptId, door) };
      await side.write(NAME, (collection) => collection.deleteMany(filter));
    },
  };
}

/** Taken ones included. */
async function findOffered(
  collection: SideCollection,
  below: ReturnType<SideCollections['keysBelow']>,
): Promise<readonly (Orphan & Pick<SideDocument, '_id'>)[]> {
  const found = await collection.find({ ...below, ...LASTS }, { limit: MOST }).toArray();
  return found.map((document) => ({ _id: document._id, ...toOrphan(document) }));
}

interface Taking {
  readonly nonce: string;
  readonly forMs: number;
}

/** One write. It marks instead of deleting. So a repetition after a lost answer finds what it has taken, and a taker that ends leaves it to others. */
async function take(collection: SideCollection, _id: string, { nonce, forMs }: Taking): Promise<SideDocument | null> {
  const isFree = { $lt: [{ $ifNull: ['$taken_until', new Date(0)] }, '$$NOW'] };
  const filter = { _id, ...LASTS, $or: [{ taken: nonce }, { $expr: isFree }] };
  const marks = { taken: literal(nonce), taken_until: fromNow(forMs) };
  return collection.findOneAndUpdate(filter, [{ $set: marks }], { returnDocument: 'after' });
}

function toOrphan({ prompt_id: promptId, door, is_released: isReleased }: SideDocument): Orphan {
  return { promptId: String(promptId), door: String(door), isReleased: isReleased === true };
}
