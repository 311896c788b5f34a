/** Writes weights as a graph wants them into one file, in pieces, for `onnx/widening.ts`. The compile cache does it before a runtime compiles a graph. */
import { open } from 'node:fs/promises';
import { Text2ImgError } from '../errors/text2img-error.ts';
import { readFully } from '../lib/read-fully.ts';
import type { SafetensorsDtype, TensorPlace } from '../onnx/weights.ts';
import { elementsOf, FLOAT32_BYTES, type WidenedFile, type WidenedTensor } from '../onnx/widening.ts';
import { roundInBlocks } from './round-in-blocks.ts';

/** Written at once. One convolution of SDXL has 112 MiB, its second token table 241. */
const PIECE_BYTES = 64 * 2 ** 20;

/**
 * Writes the weights of a plan into a new file. It holds one piece at a time in memory.
 * @param pieceBytes of the values in float32 @throws `invalid_safetensors` for a weight file that became shorter, and errors of the disk
 */
export async function writeWidened(plan: WidenedFile, path: string, pieceBytes = PIECE_BYTES): Promise<void> {
  await using target = await open(path, 'wx');
  // Sparse until it is written, so that the gaps between tensors need no writing.
  await target.truncate(plan.bytes);
  for (const [source, tensors] of Map.groupBy(plan.tensors, ({ from }) => from.file)) {
    await using file = await open(source, 'r');
    for (const tensor of tensors) {
      const { from, scales, convolution } = tensor;
      const elements = elementsOf(from);
      const step = stepOf(pieceBytes / FLOAT32_BYTES, scales?.block ?? rowOf(convolution));
      for (let first = 0; first < elements; first += step) {
        const count = Math.min(step, elements - first);
        const stored = await readStored(file, from, { first, count });
        if (isOnlyTurned(tensor)) {
          const turned = inputsLast(new Uint16Array(stored.buffer), tensor.convolution);
          await writeWhole(
            target,
            new Uint8Array(turned.buffer),
            tensor.offsetBytes + first * turned.BYTES_PER_ELEMENT,
          );
          continue;
        }
        const values = toFloat32(stored, from.dtype);
        if (from.scale !== undefined) multiply(values, { scale: from.scale, first, elements });
        await writePiece(target, tensor, { first, values: convolution ? inputsLast(values, convolution) : values });
      }
    }
  }
}

/** The elements of one output of a convolution. */
function rowOf(convolution: readonly number[] | undefined): number {
  return (convolution ?? []).slice(1).reduce((product, size) => product * size, 1);
}

interface TurnedTensor extends WidenedTensor {
  readonly convolution: readonly number[];
}

/** The numbers stay as they are. Half of the bytes, and no conversion: SD 1.5’s UNet is written in half of the time. */
function isOnlyTurned(tensor: WidenedTensor): tensor is TurnedTensor {
  const { from, type, scales, convolution } = tensor;
  return (
    from.dtype === 'F16' &&
    type === 'float16' &&
    from.scale === undefined &&
    scales === undefined &&
    convolution !== undefined
  );
}

/** From [out, in, height, width] to [out, height, width, in]. @param values of whole outputs */
function inputsLast<Values extends Float32Array | Uint16Array>(
  values: Values,
  [, inputs = 1, height = 1, width = 1]: readonly number[],
): Values {
  const result = new (values.constructor as new (length: number) => Values)(values.length);
  const positions = height * width;
  const row = inputs * positions;
  for (let start = 0; start < values.length; start += row)
    for (let position = 0; position < positions; position++)
      for (let input = 0; input < inputs; input++)
        result[start + position * inputs + input] = values[start + input * positions + position] as number;
  return result;
}

/** A piece holds whole blocks. */
function stepOf(elements: number, block: number): number {
  return Math.max(1, Math.floor(elements / block)) * block;
}

interface WidenedPiece {
  /** Its first element. */
  readonly first: number;
  readonly values: Float32Array;
}

async function writePiece(
  target: WeightFile,
  { offsetBytes, scales, type }: WidenedTensor,
  { first, values }: WidenedPiece,
): Promise<void> {
  if (type === 'float16') {
    const half = new Float16Array(values);
    await writeWhole(target, new Uint8Array(half.buffer), offsetBytes + first * half.BYTES_PER_ELEMENT);
    return;
  }
  if (scales === undefined) {
    await writeWhole(target, new Uint8Array(values.buffer), offsetBytes + first * FLOAT32_BYTES);
    return;
  }
  const rounded = roundInBlocks(values, scales.block);
  await writeWhole(target, rounded.values, offsetBytes + first);
  await writeWhole(
    target,
    new Uint8Array(rounded.scales.buffer),
    scales.offsetBytes + (first / scales.block) * FLOAT32_BYTES,
  );
}

type WeightFile = Awaited<ReturnType<typeof open>>;

/** A disk that becomes full takes a part without an error, and the rest would be zeros. */
async function writeWhole(file: WeightFile, bytes: Uint8Array, at: number): Promise<void> {
  for (let done = 0; done < bytes.length; )
    done += (await file.write(bytes, done, bytes.length - done, at + done)).bytesWritten;
}

interface Piece {
  /** Its first element. */
  readonly first: number;
  /** Of elements. */
  readonly count: number;
}

async function readStored(file: WeightFile, place: TensorPlace, { first, count }: Piece): Promise<Uint8Array> {
  const elementBytes = place.lengthBytes / elementsOf(place);
  const bytes = new Uint8Array(count * elementBytes);
  const bytesRead = await readFully(file, bytes, place.offsetBytes + first * elementBytes);
  if (bytesRead < bytes.length)
    throw new Text2ImgError('invalid_safetensors', `${place.file} became shorter while it was read.`);
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
