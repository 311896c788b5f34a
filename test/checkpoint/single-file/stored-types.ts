/** float16 numbers as the types that files store, rounded to the nearest and to the even one between two, as torch does. */

import type { StoredTensor } from '../checkpoint-copies.ts';

export type StoredType = 'float16' | 'bfloat16' | 'float8_e4m3fn' | 'float8_e5m2';

interface Stored {
  readonly dtype: string;
  readonly data: Buffer;
}

/** @param values within the type's range */
export function storedAs(type: StoredType, values: Float16Array<ArrayBuffer>): Stored {
  switch (type) {
    case 'float16':
      return { dtype: 'F16', data: Buffer.from(values.buffer) };
    case 'bfloat16':
      return { dtype: 'BF16', data: bfloat16(values) };
    case 'float8_e4m3fn':
      return { dtype: 'F8_E4M3', data: float8(values, 3, 7) };
    case 'float8_e5m2':
      return { dtype: 'F8_E5M2', data: float8(values, 2, 15) };
  }
}

function bfloat16(values: Float16Array<ArrayBuffer>): Buffer {
  const bits = new Uint32Array(Float32Array.from(values).buffer);
  const halves = Uint16Array.from(bits, (value) => (value + 0x7fff + ((value >>> 16) & 1)) >>> 16);
  return Buffer.from(halves.buffer);
}

/** By the bits of each float16: there are fewer of them than numbers in a tensor. */
function float8(values: Float16Array<ArrayBuffer>, mantissaBits: number, bias: number): Buffer {
  const known = new Map<number, number>();
  const bytes = Buffer.alloc(values.length);
  const bits = new Uint16Array(values.buffer);
  for (let index = 0; index < bytes.length; index++) {
    const key = bits[index] as number;
    let byte = known.get(key);
    if (byte === undefined) {
      const value = values[index] as number;
      byte = (signBit(value) << 7) | magnitude(Math.abs(value), mantissaBits, bias);
      known.set(key, byte);
    }
    bytes[index] = byte;
  }
  return bytes;
}

function signBit(value: number): number {
  return value < 0 || Object.is(value, -0) ? 1 : 0;
}

/** The seven bits without the sign: whole steps counted from zero, so a carry goes into the exponent by itself. */
function magnitude(value: number, mantissaBits: number, bias: number): number {
  if (value === 0) return 0;
  const exponent = Math.max(Math.floor(Math.log2(value)), 1 - bias);
  const steps = roundedToEven((value / 2 ** exponent) * 2 ** mantissaBits);
  return steps + ((exponent + bias - 1) << mantissaBits);
}

function roundedToEven(value: number): number {
  const below = Math.floor(value);
  const rest = value - below;
  return rest > 0.5 || (rest === 0.5 && below % 2 === 1) ? below + 1 : below;
}

/** A small tensor, number by number. */
export interface StoredValues {
  readonly dtype: 'F16' | 'F32' | 'I64';
  readonly shape: readonly number[];
  readonly values: readonly number[];
}

export function storedValues({ dtype, shape, values }: StoredValues): StoredTensor {
  const arrays = {
    F16: () => Float16Array.from(values),
    F32: () => Float32Array.from(values),
    I64: () => BigInt64Array.from(values, BigInt),
  };
  return { dtype, shape, data: Buffer.from(arrays[dtype]().buffer) };
}

/** @param tensor of float8 with three bits of mantissa */
export function scaledToFloat32({ shape, data }: StoredTensor, scale: number): StoredTensor {
  const values = Float32Array.from(data, (byte) => fromE4m3(byte) * scale);
  return { dtype: 'F32', shape, data: Buffer.from(values.buffer) };
}

function fromE4m3(byte: number): number {
  const [exponent, mantissa] = [(byte >> 3) & 15, (byte & 7) / 8];
  const size = exponent === 0 ? mantissa * 2 ** -6 : (1 + mantissa) * 2 ** (exponent - 7);
  return byte > 127 ? -size : size;
}
