/** `POST png-info`: the generation parameters inside a PNG, as text and by their names. */
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { splitText } from '../../image/parameters-line.ts';
import { splitPrompts } from '../../image/parameters-text.ts';
import { readPngChunks } from '../../image/png-chunks.ts';
import { findText } from '../../image/png-text.ts';
import { readBody, textIn } from './body.ts';

const DATA_URL = /^data:[^,]{0,200},/;
const BASE64 = /^[A-Za-z0-9+/_\s-]+={0,2}\s*$/;

/** @param json `{"image": …}`: base64, or a `data:` URL of it @throws `invalid_parameter` for anything but a PNG */
export function pngInfo(json: unknown): object {
  const text = findParameters(decodeImage(textIn(readBody(json), 'image')));
  if (text === undefined) return { info: '', items: {}, parameters: {} };
  return { info: text, items: { parameters: text }, parameters: parametersOf(text) };
}

function decodeImage(image: string | undefined): Uint8Array {
  const base64 = image?.trim().replace(DATA_URL, '');
  if (base64 === undefined || !BASE64.test(base64))
    throw new Text2ImgError('invalid_parameter', '"image" is not a PNG file in base64.');
  return Buffer.from(base64, 'base64');
}

function findParameters(png: Uint8Array): string | undefined {
  try {
    return findText(readPngChunks(png), 'parameters');
  } catch (error) {
    throw new Text2ImgError('invalid_parameter', `"image" cannot be read: ${Text2ImgError.from(error).message}`, {
      cause: error,
    });
  }
}

/** All values are texts, as in the web UI; a size is there in two parts as well. */
function parametersOf(text: string): Readonly<Record<string, string>> {
  const { lines, pairs } = splitText(text);
  const { prompt, negativePrompt } = splitPrompts(lines);
  const [, width, height] = /^(\d+)x(\d+)$/.exec(pairs.get('Size') ?? '') ?? [];
  return {
    Prompt: prompt,
    'Negative prompt': negativePrompt ?? '',
    ...Object.fromEntries(pairs),
    ...(width === undefined || height === undefined ? {} : { 'Size-1': width, 'Size-2': height }),
  };
}
