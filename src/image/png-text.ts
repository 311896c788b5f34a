/**
 * Text chunks of a PNG: `tEXt` (Latin-1) where it suffices, `iTXt` (UTF-8) where it does not; both are read, and `zTXt` too.
 * Source: PNG specification, third edition, section 11.3.3.
 */
import { inflateSync } from 'node:zlib';
import { Text2ImgError } from '../errors/text2img-error.ts';
import type { PngChunk } from './png-chunks.ts';

/** Characters that the specification allows in `tEXt`: Latin-1's printable characters and line feeds. */
const PLAIN_LATIN1 = /^[\n\x20-\x7e\xa0-\xff]*$/;
/** A compressed text may not unfold to more than this: a text chunk is no place for a bomb. */
const MAX_INFLATED_BYTES = 16 * 1024 * 1024;

/** @param keyword 1 … 79 Latin-1 characters @param text must be without NUL, which ends texts in PNG */
export function encodeTextChunk(keyword: string, text: string): PngChunk {
  if (PLAIN_LATIN1.test(text)) return { type: 'tEXt', data: Buffer.from(`${keyword}\0${text}`, 'latin1') };
  // Not compressed, default method, no language, no translated keyword.
  return {
    type: 'iTXt',
    data: Buffer.concat([Buffer.from(`${keyword}\0\0\0\0\0`, 'latin1'), Buffer.from(text, 'utf8')]),
  };
}

/** The first text under `keyword`, or undefined. @throws `unreadable_file` for a chunk that contradicts itself */
export function findText(chunks: readonly PngChunk[], keyword: string): string | undefined {
  for (const chunk of chunks) {
    if (!['tEXt', 'zTXt', 'iTXt'].includes(chunk.type)) continue;
    const bytes = Buffer.from(chunk.data);
    const keywordEnd = bytes.indexOf(0);
    if (keywordEnd < 0 || bytes.toString('latin1', 0, keywordEnd) !== keyword) continue;
    return decodeText(chunk.type, bytes.subarray(keywordEnd + 1));
  }
  return undefined;
}

function decodeText(type: string, rest: Buffer): string {
  if (type === 'tEXt') return rest.toString('latin1');
  if (type === 'zTXt') return inflate(rest.subarray(1)).toString('latin1');
  const compressed = rest[0] === 1;
  const languageEnd = rest.indexOf(0, 2);
  const translatedEnd = languageEnd < 0 ? -1 : rest.indexOf(0, languageEnd + 1);
  if (translatedEnd < 0) throw new Text2ImgError('unreadable_file', 'The PNG file has a damaged iTXt chunk.');
  const text = rest.subarray(translatedEnd + 1);
  return (compressed ? inflate(text) : text).toString('utf8');
}

function inflate(bytes: Buffer): Buffer {
  try {
    return inflateSync(bytes, { maxOutputLength: MAX_INFLATED_BYTES });
  } catch (error) {
    throw new Text2ImgError('unreadable_file', 'The PNG file has a compressed text that cannot be unpacked.', {
      cause: error,
    });
  }
}
