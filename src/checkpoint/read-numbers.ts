/** Reads the numbers of a small tensor: a scale, a step, the mean of the latents. */
import type { SafetensorsDtype } from '../onnx/weights.ts';

type Read = (view: DataView, at: number) => number;

const READERS: Partial<Record<SafetensorsDtype, readonly [sizeBytes: number, read: Read]>> = {
  F64: [8, (view, at) => view.getFloat64(at, true)],
  F32: [4, (view, at) => shortest(view.getFloat32(at, true))],
  F16: [2, (view, at) => view.getFloat16(at, true)],
  BF16: [2, bfloat16],
  I64: [8, (view, at) => Number(view.getBigInt64(at, true))],
  I32: [4, (view, at) => view.getInt32(at, true)],
};

/** The decimal that people wrote: −1.6574, not −1.6574000120162964. Both are the same float32. */
function shortest(value: number): number {
  for (let digits = 6; digits < 9; digits++) {
    const decimal = Number(value.toPrecision(digits));
    if (Math.fround(decimal) === value) return decimal;
  }
  return value;
}

/** The upper half of a float32. */
function bfloat16(view: DataView, at: number): number {
  const whole = new DataView(new ArrayBuffer(4));
  whole.setUint16(2, view.getUint16(at, true), true);
  return whole.getFloat32(0, true);
}

/** Undefined for a type that such tensors do not have. */
export function readNumbers(bytes: Uint8Array, dtype: SafetensorsDtype): readonly number[] | undefined {
  const [sizeBytes, read] = READERS[dtype] ?? [];
  if (sizeBytes === undefined || read === undefined) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Array.from({ length: bytes.length / sizeBytes }, (_, index) => read(view, index * sizeBytes));
}
