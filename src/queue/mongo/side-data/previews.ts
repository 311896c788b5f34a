/** The last preview of each job, replaced in place. */
import { Binary } from 'mongodb';
import type { Preview, SideData } from '../../side-data.ts';
import { PREVIEW_MS } from '../../side-data.ts';
import { fromNow, literal } from '../expressions.ts';
import { HINT_ONLY, LASTS, type SideCollections, type SideDocument } from './side-collections.ts';

const NAME = 'text2img_previews';

export function previewsIn(side: SideCollections): SideData['previews'] {
  return {
    put: async ({ promptId, token, png, step, steps }) => {
      const preview = {
        _id: '$_id',
        token: literal(token),
        png: literal(new Binary(png)),
        step,
        steps,
        until: fromNow(PREVIEW_MS),
      };
      await side.write(NAME, (collection) =>
        collection.updateOne({ _id: side.key(promptId) }, [{ $replaceWith: preview }], { upsert: true, ...HINT_ONLY }),
      );
    },
    get: async (promptId) => {
      const filter = { _id: side.key(promptId), ...LASTS };
      const found = await side.read(NAME, (collection) => collection.findOne(filter), null);
      return found === null ? undefined : toPreview(promptId, found);
    },
    remove: async (promptId) => {
      await side.write(NAME, (collection) => collection.deleteOne({ _id: side.key(promptId) }, HINT_ONLY));
    },
  };
}

function toPreview(promptId: string, { token, png, step, steps }: SideDocument): Preview | undefined {
  if (!(png instanceof Binary)) return undefined;
  return { promptId, token: String(token), png: png.value(), step: Number(step), steps: Number(steps) };
}
