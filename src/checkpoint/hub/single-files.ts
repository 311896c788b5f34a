/** Checkpoints of one file in a repository of the hub: one that was named, and those that a user may name instead of the repository. */
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { quote } from '../../lib/foreign-text.ts';
import type { HubFile } from './hub-answers.ts';

const SAFETENSORS = /\.(?:safetensors|sft)$/i;
/** A sentence holds about this many names. */
const MOST_NAMED = 4;

/** @throws `model_not_found`, `unsafe_weights` */
export function singleFileOf(files: readonly HubFile[], id: string, name: string): HubFile {
  const file = files.find(({ path }) => path === name);
  if (file === undefined)
    throw new Text2ImgError(
      'model_not_found',
      `the repository ${id} has no file ${quote(name)}. ${othersOf(files, id)}`,
    );
  if (SAFETENSORS.test(name)) return file;
  throw new Text2ImgError(
    'unsafe_weights',
    `${quote(name)} of the repository ${id} is no safetensors file. A pickle can run code when it is read, and is not downloaded. ${othersOf(files, id)}`,
  );
}

/** Sentences that list the files in the root that may be checkpoints, and how to name the first. */
export function othersOf(files: readonly HubFile[], id: string, flag = '--model'): string {
  const found = files.filter(({ path }) => SAFETENSORS.test(path) && !path.includes('/'));
  const [first] = found;
  if (first === undefined) return 'It has no .safetensors file in its root.';
  const named = found
    .slice(0, MOST_NAMED)
    .map(({ path, sizeBytes }) => `${quote(path, 60)} (${(sizeBytes / 1e9).toFixed(2)} GB)`);
  const more = found.length > named.length ? ` and ${found.length - named.length} more` : '';
  return `It has ${named.join(', ')}${more}. Name one, as in ${flag} ${id}/${first.path}.`;
}
