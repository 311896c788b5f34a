/**
 * PNG's container: signature, chunks, checksums. Source: PNG specification, third edition, section 5.
 */
import { crc32 } from 'node:zlib';
import { Text2ImgError } from '../errors/text2img-error.ts';
import { quote } from '../lib/foreign-text.ts';

export interface PngChunk {
  /** Four letters: `IHDR`, `IDAT`, `tEXt`, … */
  readonly type: string;
  readonly data: Uint8Array;
}

const SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
/** Length and type before the data, checksum after it. */
const CHUNK_OVERHEAD_BYTES = 12;

export function writePng(chunks: readonly PngChunk[]): Uint8Array {
  return Buffer.concat([SIGNATURE, ...chunks.map(encodeChunk)]);
}

function encodeChunk({ type, data }: PngChunk): Buffer {
  const bytes = Buffer.alloc(CHUNK_OVERHEAD_BYTES + data.length);
  bytes.writeUInt32BE(data.length, 0);
  bytes.write(type, 4, 'latin1');
  bytes.set(data, 8);
  bytes.writeUInt32BE(crc32(bytes.subarray(4, 8 + data.length)), 8 + data.length);
  return bytes;
}

/**
 * The chunks of a PNG file, in order, up to `IEND`.
 * @throws `unreadable_file` when it is not a PNG, is cut off, or a checksum is wrong
 */
export function readPngChunks(png: Uint8Array): PngChunk[] {
  const bytes = Buffer.from(png.buffer, png.byteOffset, png.byteLength);
  if (!bytes.subarray(0, SIGNATURE.length).equals(SIGNATURE))
    throw new Text2ImgError('unreadable_file', 'This is not a PNG file.');
  const chunks: PngChunk[] = [];
  let offset = SIGNATURE.length;
  for (;;) {
    if (offset + CHUNK_OVERHEAD_BYTES > bytes.length)
      throw new Text2ImgError('unreadable_file', 'The PNG file is cut off.');
    const length = bytes.readUInt32BE(offset);
    const end = offset + 8 + length;
    const type = bytes.toString('latin1', offset + 4, offset + 8);
    if (end + 4 > bytes.length)
      throw new Text2ImgError('unreadable_file', `The PNG file is cut off in its ${quote(type)} chunk.`);
    if (crc32(bytes.subarray(offset + 4, end)) !== bytes.readUInt32BE(end)) {
      throw new Text2ImgError(
        'unreadable_file',
        `The PNG file is damaged: the checksum of its ${quote(type)} chunk is wrong.`,
      );
    }
    if (type === 'IEND') return chunks;
    chunks.push({ type, data: bytes.subarray(offset + 8, end) });
    offset = end + 4;
  }
}
