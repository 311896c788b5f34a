/**
 * Natural logarithm, sine and cosine of many float32, with the bits that torch gives them on a processor with AVX2.
 * Source: polynomials and constants of the Cephes library's logf, sinf and cosf, as ATen/native/cpu/avx_mathfun.h evaluates them. torch's compiler joins a product
 * and the sum that takes it into one operation with one rounding (FMA). Which of them is not in the source: it was found by comparing bits.
 */

const f32 = Math.fround;

const SQUARE_ROOT_OF_HALF = f32(Math.SQRT1_2);
/** The natural logarithm of 2 in two parts: the first has few bits, so its product with a small integer is exact. */
const LOG_2_HIGH = f32(0.693359375);
const LOG_2_LOW = f32(-2.1219444e-4);
/** Highest power first, as in all lists here. */
const LOG = Float32Array.of(
  7.0376836292e-2,
  -1.151461031e-1,
  1.167699874e-1,
  -1.2420140846e-1,
  1.4249322787e-1,
  -1.6668057665e-1,
  2.0000714765e-1,
  -2.4999993993e-1,
  3.3333331174e-1,
);
const SINE = Float32Array.of(-1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1);
const COSINE = Float32Array.of(2.443315711809948e-5, -1.388731625493765e-3, 4.166664568298827e-2);
const FOUR_BY_PI = f32(4 / Math.PI);
/** Minus a quarter of π in three parts. The first has so few bits that its product with an octant's number is exact. */
const MINUS_QUARTER_PI_A = -0.78515625;
const MINUS_QUARTER_PI_B = f32(-2.418756484985352e-4);
const MINUS_QUARTER_PI_C = f32(-3.774894977445941e-8);

const EXPONENT_BITS = 23;
const MANTISSA_MASK = 2 ** EXPONENT_BITS - 1;
/** Of a float32 between 0.5 and 1. */
const HALF_EXPONENT = 126;

// Each step waits for the one before. One step for all numbers, then the next one, takes a third of the time of one number after the other.

/** @param values of at least 2^-126 each */
export function logarithms(values: Float32Array): Float32Array {
  const rests = Float32Array.from(values);
  const powers = new Float32Array(values.length);
  const bits = new Int32Array(rests.buffer);
  for (let index = 0; index < rests.length; index++) {
    const ownBits = bits[index] as number;
    const exponent = (ownBits >>> EXPONENT_BITS) - HALF_EXPONENT;
    bits[index] = (ownBits & MANTISSA_MASK) | (HALF_EXPONENT << EXPONENT_BITS);
    const mantissa = rests[index] as number;
    const isLow = mantissa < SQUARE_ROOT_OF_HALF;
    powers[index] = isLow ? exponent - 1 : exponent;
    rests[index] = isLow ? 2 * mantissa - 1 : mantissa - 1;
  }
  const results = polynomial(LOG, rests);
  for (let index = 0; index < results.length; index++) {
    const rest = rests[index] as number;
    const power = powers[index] as number;
    const square = f32(rest * rest);
    const cube = fused(f32((results[index] as number) * rest), square, f32(power * LOG_2_LOW));
    results[index] = fused(power, LOG_2_HIGH, f32(rest + f32(cube - square / 2)));
  }
  return results;
}

/** @param angles from 0 to some thousands each */
export function sinesAndCosines(angles: Float32Array): {
  readonly sines: Float32Array;
  readonly cosines: Float32Array;
} {
  const octants = new Int32Array(angles.length);
  const rests = new Float32Array(angles.length);
  const squares = new Float32Array(angles.length);
  for (let index = 0; index < angles.length; index++) {
    const angle = angles[index] as number;
    // The nearest even one, so that what is left lies within π/4 of zero.
    const octant = (Math.trunc(f32(angle * FOUR_BY_PI)) + 1) & ~1;
    const rest = fused(
      octant,
      MINUS_QUARTER_PI_C,
      fused(octant, MINUS_QUARTER_PI_B, fused(octant, MINUS_QUARTER_PI_A, angle)),
    );
    octants[index] = octant;
    rests[index] = rest;
    squares[index] = rest * rest;
  }
  const sines = polynomial(SINE, squares);
  const cosines = polynomial(COSINE, squares);
  for (let index = 0; index < angles.length; index++) {
    const octant = octants[index] as number;
    const rest = rests[index] as number;
    const square = squares[index] as number;
    const sine = fused(f32((sines[index] as number) * square), rest, rest);
    const cosine = f32(1 + fused(f32((cosines[index] as number) * square), square, -square / 2));
    const areSwapped = (octant & 2) !== 0;
    const ofSine = areSwapped ? cosine : sine;
    const ofCosine = areSwapped ? sine : cosine;
    sines[index] = (octant & 4) === 0 ? ofSine : -ofSine;
    cosines[index] = ((octant + 2) & 4) === 0 ? ofCosine : -ofCosine;
  }
  return { sines, cosines };
}

/** Horner's scheme, for all of x. */
function polynomial(coefficients: Float32Array, x: Float32Array): Float32Array {
  const sums = new Float32Array(x.length).fill(coefficients[0] as number);
  for (let power = 1; power < coefficients.length; power++) {
    const coefficient = coefficients[power] as number;
    for (let index = 0; index < x.length; index++)
      sums[index] = fused(sums[index] as number, x[index] as number, coefficient);
  }
  return sums;
}

/** a · b + c with one rounding. The product of two float32 is exact in a double; that the sum is rounded there first changes one result in 10^8. */
function fused(a: number, b: number, c: number): number {
  return f32(a * b + c);
}
