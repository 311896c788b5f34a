/**
 * Weights that a file has in another type than a graph computes in, once more in float32. ONNX Runtime folds a `Cast` behind each such weight when it
 * opens a graph, and then holds twice the weights. Written into a file beforehand, in pieces, they are mapped like any others
 * (`docs/decisions/weights-in-place.md` has the figures).
 */
import { open } from 'node:fs/promises';
import { Text2ImgError } from '../errors/text2img-error.ts';
import type { SafetensorsDtype, TensorPlace } from './weights.ts';

/** A weight that a graph refers to where it lies. */
export interface ExternalWeight {
  readonly place: TensorPlace;
  /** The value with the weight in the compute type. */
  readonly valueName: string;
  /** The nodes that make it out of the stored tensor. */
  readonly converters: readonly string[];
}

/** A place in the file of float32 values. */
interface WidenedTensor {
  readonly from: TensorPlace;
  readonly offsetBytes: number;
  readonly lengthBytes: number;
}

/** The plan of a file that `writeWidened` writes. */
export interface WidenedFile {
  /** In the order of the file. */
  readonly tensors: readonly WidenedTensor[];
  readonly bytes: number;
}

const FLOAT32_BYTES = 4;
/** Every tensor begins at a multiple of this, as in a safetensors file. */
const ALIGNMENT_BYTES = 64;
/** Written at once. One convolution of SDXL has 112 MiB, its second token table 241. */
const PIECE_BYTES = 64 * 2 ** 20;

export function placeInOneFile(places: readonly TensorPlace[]): WidenedFile {
  let bytes = 0;
  const tensors = places.map((from) => {
    const lengthBytes = elementsOf(from) * FLOAT32_BYTES;
    const offsetBytes = bytes;
    bytes += Math.ceil(lengthBytes / ALIGNMENT_BYTES) * ALIGNMENT_BYTES;
    return { from, offsetBytes, lengthBytes };
  });
  return { tensors, bytes };
}

export function elementsOf({ shape }: TensorPlace): number {
  return shape.reduce((product, size) => product * size, 1);
}

/**
 * Writes the weights of a plan into a new file. It holds one piece at a time in memory.
 * @param pieceBytes of the written file @throws `invalid_safetensors` for a weight file that became shorter, and errors of the disk
 */
export async function writeWidened(plan: WidenedFile, path: string, pieceBytes = PIECE_BYTES): Promise<void> {
  await using target = await open(path, 'wx');
  // Sparse until it is written, so that the gaps between tensors need no writing.
  await target.truncate(plan.bytes);
  for (const [source, tensors] of Map.groupBy(plan.tensors, ({ from }) => from.file)) {
    await using file = await open(source, 'r');
    for (const { from, offsetBytes } of tensors) {
      const elements = elementsOf(from);
      const step = pieceBytes / FLOAT32_BYTES;
      for (let first = 0; first < elements; first += step) {
        const count = Math.min(step, elements - first);
        const stored = await readStored(file, from, { first, count });
        const values = toFloat32(stored, from.dtype);
        if (from.scale !== undefined) multiply(values, { scale: from.scale, first, elements });
        await writeWhole(target, new Uint8Array(values.buffer), offsetBytes + first * FLOAT32_BYTES);
      }
    }
  }
}

type WeightFile = Awaited<ReturnType<typeof open>>;

/** A disk that becomes full takes a part without an error, and the rest would be zeros. */
async function writeWhole(file: WeightFile, bytes: Uint8Array, at: number): Promise<void> {
  for (let done = 0; done < bytes.length; )
    done += (await file.write(bytes, done, bytes.length - done, at + done)).bytesWritten;
}

async function readStored(
  file: WeightFile,
  { file: path, offsetBytes, lengthBytes, ...place }: TensorPlace,
  { first, count }: { readonly first: number; readonly count: number },
): Promise<Uint8Array> {
  const elementBytes = lengthBytes / elementsOf({ file: path, offsetBytes, lengthBytes, ...place });
  const bytes = new Uint8Array(count * elementBytes);
  for (let done = 0; done < bytes.length; ) {
    const at = offsetBytes + first * elementBytes + done;
    const { bytesRead } = await file.read(bytes, done, bytes.length - done, at);
    if (bytesRead === 0) throw new Text2ImgError('invalid_safetensors', `${path} became shorter while it was read.`);
    done += bytesRead;
  }
  return bytes;
}

/** @throws `internal` for a type that no graph refers to */
function toFloat32(stored: Uint8Array, dtype: SafetensorsDtype): Float32Array {
  if (dtype === 'F32') return new Float32Array(stored.buffer);
  if (dtype === 'F64') return Float32Array.from(new Float64Array(stored.buffer));
  if (dtype === 'F16' || dtype === 'BF16') return lookUp(new Uint16Array(stored.buffer), tableOf(dtype));
  if (dtype === 'F8_E4M3' || dtype === 'F8_E5M2') return lookUp(stored, tableOf(dtype));
  throw new Text2ImgError('internal', `weights of type ${dtype} cannot be widened.`);
}

/** Copies bits, not numbers: V8 may or may not keep the payload of a NaN. */
function lookUp(stored: Uint8Array | Uint16Array, table: Uint32Array): Float32Array {
  const bits = new Uint32Array(stored.length);
  for (let k = 0; k < bits.length; k++) bits[k] = table[stored[k] as number] as number;
  return new Float32Array(bits.buffer);
}

type SmallType = 'F16' | 'BF16' | 'F8_E4M3' | 'F8_E5M2';
const tables = new Map<SmallType, Uint32Array>();

/** The bits in float32 of each pattern of bits. */
function tableOf(dtype: SmallType): Uint32Array {
  const known = tables.get(dtype) ?? new Uint32Array(valuesOf(dtype).buffer);
  tables.set(dtype, known);
  return known;
}

function valuesOf(dtype: SmallType): Float32Array {
  const bytes = Array.from({ length: 256 }, (_, bits) => bits);
  const words = Uint16Array.from({ length: 65_536 }, (_, bits) => bits);
  switch (dtype) {
    case 'F16':
      return Float32Array.from(new Float16Array(words.buffer));
    case 'BF16':
      return new Float32Array(Uint32Array.from(words, (bits) => bits << 16).buffer);
    case 'F8_E5M2':
      // The upper half of a float16.
      return Float32Array.from(new Float16Array(Uint16Array.from(bytes, (bits) => bits << 8).buffer));
    case 'F8_E4M3':
      return Float32Array.from(bytes, fromE4m3);
  }
}

/** ONNX's float8e4m3fn: four bits of exponent with bias 7, three of mantissa, no infinity. Source: Micikevicius et al., arXiv 2209.05433, table 1. */
function fromE4m3(bits: number): number {
  const [exponent, mantissa] = [(bits >> 3) & 15, bits & 7];
  if (exponent === 15 && mantissa === 7) return Number.NaN;
  const size = exponent === 0 ? mantissa * 2 ** -9 : (8 + mantissa) * 2 ** (exponent - 10);
  return bits < 128 ? size : -size;
}

interface ScaledPiece {
  /** One number, or one for each row. */
  readonly scale: readonly number[];
  /** The first element of the piece. */
  readonly first: number;
  /** Of the whole tensor. */
  readonly elements: number;
}

/** In float32, as the graph's own multiplication is. */
function multiply(values: Float32Array, { scale, first, elements }: ScaledPiece): void {
  const factors = new Float32Array(scale);
  const rowElements = elements / factors.length;
  for (let k = 0; k < values.length; k++)
    values[k] = (values[k] as number) * (factors[Math.floor((first + k) / rowElements)] as number);
}
