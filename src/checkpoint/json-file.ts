/** Reads a checkpoint's JSON file, with errors that name it. */
import { Text2ImgError } from '../errors/text2img-error.ts';
import { messageOf } from '../lib/disk-errors.ts';
import { isRecord, own } from '../lib/foreign-record.ts';
import { readCheckpointFile } from './checkpoint-file.ts';
import { TELLTALE_BYTES, wrongContent } from './wrong-content.ts';

/** @throws `model_not_found`, `invalid_config` */
export async function readJsonFile(path: string): Promise<Readonly<Record<string, unknown>>> {
  const text = await readTextFile(path);
  let json: unknown;
  try {
    json = parseJson(text);
  } catch (error) {
    throw new Text2ImgError('invalid_config', `${path} is not JSON: ${messageOf(error)}.`, { cause: error });
  }
  if (isRecord(json)) return json;
  const found = json === null ? 'null' : Array.isArray(json) ? 'an array' : `a ${typeof json}`;
  throw new Text2ImgError('invalid_config', `${path} holds ${found}; an object is needed.`);
}

/**
 * A component's configuration. The keys that `_use_default_values` lists are left out, so that each has the default of its class.
 * Source: diffusers configuration_utils.py, ConfigMixin.extract_init_dict.
 * @throws as `readJsonFile`
 */
export async function readConfigFile(path: string): Promise<Readonly<Record<string, unknown>>> {
  const json = await readJsonFile(path);
  const listed = own(json, '_use_default_values');
  const unset = new Set<unknown>(Array.isArray(listed) ? listed : []);
  return unset.size === 0 ? json : Object.fromEntries(Object.entries(json).filter(([key]) => !unset.has(key)));
}

/** A text file of a checkpoint. @throws `model_not_found`, `invalid_config` for one that is something else */
export async function readTextFile(path: string): Promise<string> {
  const bytes = await readCheckpointFile(path);
  const wrong = wrongContent(bytes.subarray(0, TELLTALE_BYTES));
  if (wrong !== undefined) throw new Text2ImgError('invalid_config', `${path} ${wrong}.`);
  return bytes.toString('utf8');
}

/** Python writes infinities and NaN bare (`"lambda_min_clipped": -Infinity` stands in real scheduler files); here they become strings. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    const quoted = quoteBareNumbers(text);
    if (quoted === text) throw error;
    return JSON.parse(quoted);
  }
}

const BARE = /-?Infinity|NaN/g;

/** Outside of strings only. Every part of the text is looked at once. */
function quoteBareNumbers(text: string): string {
  let result = '';
  let from = 0;
  while (from < text.length) {
    const open = text.indexOf('"', from);
    const outside = text.slice(from, open === -1 ? text.length : open);
    result += outside.replaceAll(BARE, '"$&"');
    if (open === -1) break;
    const close = endOfString(text, open);
    result += text.slice(open, close);
    from = close;
  }
  return result;
}

/** Behind the quotation mark that ends the string which begins at `open`. */
function endOfString(text: string, open: number): number {
  for (let at = open + 1; at < text.length; at++) {
    if (text[at] === '\\') at++;
    else if (text[at] === '"') return at + 1;
  }
  return text.length;
}
