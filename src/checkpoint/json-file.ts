/** Reads a checkpoint's JSON file, with errors that name it. */
import { readFile } from 'node:fs/promises';
import { Text2ImgError } from '../errors/text2img-error.ts';

/** @throws `model_not_found`, `invalid_config` */
export async function readJsonFile(path: string): Promise<Readonly<Record<string, unknown>>> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    throw new Text2ImgError('model_not_found', `the checkpoint has no file ${path}.`, { cause: error });
  }
  let json: unknown;
  try {
    json = parseJson(text);
  } catch (error) {
    throw new Text2ImgError(
      'invalid_config',
      `${path} is not JSON: ${error instanceof Error ? error.message : String(error)}.`,
      { cause: error },
    );
  }
  if (typeof json === 'object' && json !== null && !Array.isArray(json)) return json as Record<string, unknown>;
  throw new Text2ImgError(
    'invalid_config',
    `${path} holds ${Array.isArray(json) ? 'an array' : typeof json}; an object is needed.`,
  );
}

/** Python writes infinities bare (`"lambda_min_clipped": -Infinity` stands in real scheduler files); here they become strings. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    const quoted = text.replaceAll(/(:\s*)(-?Infinity|NaN)(?=\s*[,}])/g, '$1"$2"');
    if (quoted === text) throw error;
    return JSON.parse(quoted);
  }
}
