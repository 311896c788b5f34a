/** The last line of `run` and `generate`: how many images were made, where they are, and how long it took. */
import { isAbsolute, relative, resolve } from 'node:path';
import type { StoreSettings } from '../app/settings.ts';
import { durationText } from '../lib/duration-text.ts';

export interface Made {
  readonly images: number;
  /** A folder or a URL. */
  readonly place: string;
  readonly elapsedMs: number;
}

/** `14 images in text2img-data/generated (2 min 11 s)`; without an image no place. */
export function madeText({ images, place, elapsedMs }: Made): string {
  const where = images === 0 ? '' : ` in ${place}`;
  return `${images} ${images === 1 ? 'image' : 'images'}${where} (${durationText(elapsedMs)})`;
}

/** Where a worker's images go: `gs://bucket/generated`, or the folder's path. */
export function placeOf({ place, prefix }: Pick<StoreSettings, 'place' | 'prefix'>): string {
  const folder = prefix.slice(0, Math.max(0, prefix.lastIndexOf('/')));
  if (place.kind === 'folder') return resolve(place.dataDir, folder);
  return `gs://${place.bucket}${folder === '' ? '' : `/${folder}`}`;
}

/** A path below the working folder as its user would type it; every other one, and a URL, whole. */
export function shortPlace(place: string, workingFolder: string): string {
  if (!isAbsolute(place)) return place;
  const path = relative(workingFolder, place);
  return path.startsWith('..') || isAbsolute(path) ? place : path || '.';
}
