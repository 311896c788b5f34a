/**
 * Reads the header of a safetensors file and checks it against the file, so that nobody reads past the end or into a neighbour.
 * Source: the format's description in the safetensors project (8 bytes header length, JSON header, tensor bytes without holes).
 */
import { realpath, type FileHandle } from 'node:fs/promises';
import { z } from 'zod';
import { Text2ImgError } from '../errors/text2img-error.ts';
import { isRecord } from '../lib/foreign-record.ts';
import { allowedValues } from '../lib/allowed-values.ts';
import { quote } from '../lib/foreign-text.ts';
import { readFully } from '../lib/read-fully.ts';
import { openCheckpointFile } from './checkpoint-file.ts';
import { SAFETENSORS_BITS, type SafetensorsDtype, type TensorPlace } from '../onnx/weights.ts';
import { TELLTALE_BYTES, wrongContent } from './wrong-content.ts';

/** The reference implementation's own limit. */
const MAX_HEADER_BYTES = 100_000_000;

const whole = z.int().nonnegative();
const entrySchema = z.object({
  dtype: z.enum(Object.keys(SAFETENSORS_BITS) as [SafetensorsDtype, ...SafetensorsDtype[]]),
  shape: z.array(whole),
  data_offsets: z.tuple([whole, whole]),
});

/**
 * Name → place of every tensor in the file.
 * @throws `invalid_safetensors`, `model_not_found`
 */
export async function readSafetensorsHeader(path: string): Promise<ReadonlyMap<string, TensorPlace>> {
  await using handle = await openCheckpointFile(path);
  // ONNX Runtime refuses links that leave the folder of the weights, and hub caches are full of them.
  const file = await realpath(path);
  const { size } = await handle.stat();
  const header = await readHeader(handle, size, path);
  return placeTensors({ header: header.json, dataStart: header.end, fileBytes: size, file, path });
}

interface Piece {
  readonly bytes: Uint8Array;
  readonly at: number;
  readonly path: string;
}

/** Fills `bytes` with what lies at `at`. @throws `invalid_safetensors` when the file ends before */
export async function readExactly(handle: FileHandle, { bytes, at, path }: Piece): Promise<void> {
  const bytesRead = await readFully(handle, bytes, at);
  if (bytesRead < bytes.length) throw refuse(path, `it ends at byte ${at + bytesRead}, inside a tensor or its header`);
}

function refuse(path: string, what: string): Text2ImgError {
  return new Text2ImgError('invalid_safetensors', `${path} is not a valid safetensors file: ${what}.`);
}

interface Header {
  readonly json: Readonly<Record<string, unknown>>;
  /** Where the tensors begin. */
  readonly end: number;
}

async function readHeader(handle: FileHandle, fileBytes: number, path: string): Promise<Header> {
  const start = Buffer.alloc(Math.min(TELLTALE_BYTES, fileBytes));
  await readExactly(handle, { bytes: start, at: 0, path });
  // Asked only about a file that is refused: a header's length may happen to look like the beginning of an archive.
  const refuseHeader = (what: string): Text2ImgError => {
    const wrong = wrongContent(start);
    return wrong === undefined ? refuse(path, what) : new Text2ImgError('invalid_safetensors', `${path} ${wrong}.`);
  };
  if (fileBytes < 8) throw refuseHeader(`it has ${fileBytes} bytes, fewer than the 8 of the header length`);
  const length = start.readBigUInt64LE();
  if (length > BigInt(MAX_HEADER_BYTES))
    throw refuseHeader(`its header length ${length} is over the limit of ${MAX_HEADER_BYTES} bytes`);
  const end = 8 + Number(length);
  if (end > fileBytes)
    throw refuseHeader(`its header ends at byte ${end}, but the file has ${fileBytes}: it is truncated`);
  const bytes = Buffer.alloc(Number(length));
  await readExactly(handle, { bytes, at: 8, path });
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    throw refuseHeader('its header is not JSON');
  }
  if (!isRecord(json)) throw refuseHeader('its header is not an object');
  return { json, end };
}

interface HeaderFacts {
  readonly header: Readonly<Record<string, unknown>>;
  readonly dataStart: number;
  readonly fileBytes: number;
  readonly file: string;
  readonly path: string;
}

function placeTensors({ header, dataStart, fileBytes, file, path }: HeaderFacts): Map<string, TensorPlace> {
  const places: [string, TensorPlace][] = [];
  for (const [name, value] of Object.entries(header)) {
    if (name === '__metadata__') continue;
    const entry = entrySchema.safeParse(value, { error: allowedValues });
    if (!entry.success) {
      const issue = entry.error.issues[0];
      throw refuse(path, `tensor ${quote(name)} has a wrong ${String(issue?.path[0] ?? 'entry')}: ${issue?.message}`);
    }
    const {
      dtype,
      shape,
      data_offsets: [begin, end],
    } = entry.data;
    const lengthBytes = shape.reduce((product, size) => product * size, SAFETENSORS_BITS[dtype]) / 8;
    if (!Number.isSafeInteger(lengthBytes) || end - begin !== lengthBytes) {
      throw refuse(
        path,
        `tensor ${quote(name)} of ${dtype} ${quote(shape)} needs ${lengthBytes} bytes, but its offsets say ${end - begin}`,
      );
    }
    if (dataStart + end > fileBytes) {
      throw refuse(
        path,
        `tensor ${quote(name)} ends at byte ${dataStart + end}, but the file has ${fileBytes}: it is truncated`,
      );
    }
    places.push([name, { dtype, shape, file, offsetBytes: dataStart + begin, lengthBytes }]);
  }
  refuseHolesAndOverlaps(places, { dataStart, fileBytes, path });
  return new Map(places);
}

function refuseHolesAndOverlaps(
  places: readonly [string, TensorPlace][],
  { dataStart, fileBytes, path }: Pick<HeaderFacts, 'dataStart' | 'fileBytes' | 'path'>,
): void {
  let end = dataStart;
  for (const [name, place] of places.toSorted(
    ([, a], [, b]) => a.offsetBytes - b.offsetBytes || a.lengthBytes - b.lengthBytes,
  )) {
    if (place.offsetBytes < end) throw refuse(path, `tensor ${quote(name)} overlaps the one before it`);
    if (place.offsetBytes > end)
      throw refuse(path, `there is a hole of ${place.offsetBytes - end} bytes before tensor ${quote(name)}`);
    end += place.lengthBytes;
  }
  if (end !== fileBytes) throw refuse(path, `its tensors end at byte ${end}, but the file has ${fileBytes}`);
}
