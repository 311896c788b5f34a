/** The names of single files. */
import { basename } from 'node:path';

/** In either spelling of the format, as people save it. */
const EXTENSION = /\.(?:safetensors|sft)$/i;

/** The model's name in images and logs: `v1-5-pruned` for `/models/v1-5-pruned.safetensors`. */
export function singleFileName(path: string): string {
  return basename(path).replace(EXTENSION, '');
}
