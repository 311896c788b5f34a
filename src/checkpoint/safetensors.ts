/**
 * Reads the header of a safetensors file and checks it against the file, so that nobody reads past the end or into a neighbour.
 * Source: the format's description in the safetensors project (8 bytes header length, JSON header, tensor bytes without holes).
 */
import { type FileHandle, open, realpath } from 'node:fs/promises';
import { z } from 'zod';
import { Text2ImgError } from '../errors/text2img-error.ts';
import type { SafetensorsDtype, TensorPlace } from './weights.ts';

/** The reference implementation's own limit. */
const MAX_HEADER_BYTES = 100_000_000;

const DTYPE_BYTES: Record<SafetensorsDtype, number> = {
  F64: 8,
  F32: 4,
  F16: 2,
  BF16: 2,
  I64: 8,
  I32: 4,
  I16: 2,
  I8: 1,
  U8: 1,
  BOOL: 1,
};

const whole = z.int().nonnegative();
const entrySchema = z.object({
  dtype: z.enum(Object.keys(DTYPE_BYTES) as [SafetensorsDtype, ...SafetensorsDtype[]]),
  shape: z.array(whole),
  data_offsets: z.tuple([whole, whole]),
});

/**
 * Name → place of every tensor in the file.
 * @throws `invalid_safetensors`, `model_not_found`
 */
export async function readSafetensorsHeader(path: string): Promise<ReadonlyMap<string, TensorPlace>> {
  let handle: FileHandle;
  let file: string;
  try {
    // ONNX Runtime refuses links that leave the folder of the weights, and hub caches are full of them.
    file = await realpath(path);
    handle = await open(file, 'r');
  } catch (error) {
    throw new Text2ImgError('model_not_found', `the weight file ${path} cannot be read.`, { cause: error });
  }
  try {
    const { size } = await handle.stat();
    const header = await readHeader(handle, size, path);
    return placeTensors({ header: header.json, dataStart: header.end, fileBytes: size, file, path });
  } finally {
    await handle.close();
  }
}

function refuse(path: string, what: string): Text2ImgError {
  return new Text2ImgError('invalid_safetensors', `${path} is not a valid safetensors file: ${what}.`);
}

async function readHeader(
  handle: FileHandle,
  fileBytes: number,
  path: string,
): Promise<{ json: Record<string, unknown>; end: number }> {
  if (fileBytes < 8) throw refuse(path, `it has ${fileBytes} bytes, fewer than the 8 of the header length`);
  const prefix = Buffer.alloc(8);
  await handle.read(prefix, 0, 8, 0);
  const length = prefix.readBigUInt64LE();
  if (length > BigInt(MAX_HEADER_BYTES))
    throw refuse(path, `its header length ${length} is over the limit of ${MAX_HEADER_BYTES} bytes`);
  const end = 8 + Number(length);
  if (end > fileBytes)
    throw refuse(path, `its header ends at byte ${end}, but the file has ${fileBytes}: it is truncated`);
  const bytes = Buffer.alloc(Number(length));
  await handle.read(bytes, 0, bytes.length, 8);
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    throw refuse(path, 'its header is not JSON');
  }
  if (typeof json !== 'object' || json === null || Array.isArray(json))
    throw refuse(path, 'its header is not an object');
  return { json: json as Record<string, unknown>, end };
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
    const entry = entrySchema.safeParse(value);
    if (!entry.success) {
      const issue = entry.error.issues[0];
      throw refuse(path, `tensor "${name}" has a wrong ${String(issue?.path[0] ?? 'entry')}: ${issue?.message}`);
    }
    const {
      dtype,
      shape,
      data_offsets: [begin, end],
    } = entry.data;
    const lengthBytes = shape.reduce((product, size) => product * size, DTYPE_BYTES[dtype]);
    if (!Number.isSafeInteger(lengthBytes) || end - begin !== lengthBytes) {
      throw refuse(
        path,
        `tensor "${name}" of ${dtype} [${shape.join(', ')}] needs ${lengthBytes} bytes, but its offsets say ${end - begin}`,
      );
    }
    if (dataStart + end > fileBytes) {
      throw refuse(
        path,
        `tensor "${name}" ends at byte ${dataStart + end}, but the file has ${fileBytes}: it is truncated`,
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
    if (place.offsetBytes < end) throw refuse(path, `tensor "${name}" overlaps the one before it`);
    if (place.offsetBytes > end)
      throw refuse(path, `there is a hole of ${place.offsetBytes - end} bytes before tensor "${name}"`);
    end += place.lengthBytes;
  }
  if (end !== fileBytes) throw refuse(path, `its tensors end at byte ${end}, but the file has ${fileBytes}`);
}
