/** Values that a server keeps for good, as JSON. */
import type { SideData } from '../../side-data.ts';
import { parsedJson } from '../../side-records.ts';
import { literal } from '../expressions.ts';
import type { SideCollections } from './side-collections.ts';

const NAME = 'text2img_requests';

export function settingsIn(side: SideCollections): SideData['settings'] {
  return {
    get: async (key) => {
      const filter = { _id: side.key('setting', key) };
      const found = await side.read(NAME, (collection) => collection.findOne(filter), null);
      return parsedJson(found?.['value']);
    },
    set: async (key, value) => {
      const update = [{ $set: { value: literal(JSON.stringify(value)) } }];
      await side.write(NAME, (collection) =>
        collection.updateOne({ _id: side.key('setting', key) }, update, { upsert: true }),
      );
    },
  };
}
