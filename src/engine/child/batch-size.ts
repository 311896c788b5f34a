/** How many images may share a pass on a GPU, by the memory that is free when the model is loaded. */
import type { Checkpoint } from '../../checkpoint/checkpoint.ts';
import { own } from '../../lib/foreign-record.ts';
import type { Family, LoadTools, PlannedRun } from '../../pipelines/family.ts';

/** More was not measured on a GPU; `npm run bench:gpu` prints the images a second of each number. */
const MOST = 8;
/** If nobody knows what is free. Four images of 512×512 fit into 8 GB in float16; a pass that does not fit is halved. */
const UNKNOWN = 4;

/** @param shortage undefined: nobody knows what is free */
export function mostImages(
  checkpoint: Checkpoint & { readonly family: Family },
  shortage: LoadTools['shortage'],
): number {
  const { family, networks } = checkpoint;
  const name = family.hashedNetwork;
  if (shortage === undefined || name === undefined || own(networks, name) === undefined) return UNKNOWN;
  const { defaultWidthPx: widthPx, defaultHeightPx: heightPx } = family.facts(checkpoint);
  const sizes = family.sizes?.(checkpoint, { widthPx, heightPx }) ?? {};
  const decoding: PlannedRun[] =
    own(networks, 'vae') === undefined ? [] : [{ component: 'vae', sizes: { ...sizes, batch: 1 } }];
  for (let images = MOST; images > 1; images = Math.floor(images / 2))
    // With guidance an image has two rows.
    if (shortage([{ component: name, sizes: { ...sizes, batch: 2 * images } }, ...decoding]) === undefined)
      return images;
  return 1;
}
