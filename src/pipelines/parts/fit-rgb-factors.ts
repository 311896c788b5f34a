/**
 * The factors of previews for an autoencoder that nobody has fitted before. It decodes a few random latents once. Least squares finds the factors that
 * come nearest to its pixels. docs/decisions/previews.md has the measurements behind the choices.
 */
import { TorchCpuGenerator } from '../../noise/torch-cpu-random.ts';
import type { RgbFactors } from './latents-to-rgb.ts';
import type { VaeDecoder } from './networks.ts';
import { unscaled } from './unscale-latents.ts';

/** Height and width of the random latents: 256 equations for each colour. */
const SIDE = 16;
/** Latents of images change slowly from place to place. So these are constant in patches, and the fit reads the patches' insides. */
const PATCH = 4;
/** Keeps the equations solvable for a channel that the autoencoder ignores. Small beside SIDE². */
const RIDGE = 1e-3;

/** Decodes one small image. The same autoencoder gives the same factors. @throws what decoding throws; `RangeError` for decoded values that are not finite */
export async function fitRgbFactors(vae: VaeDecoder, channels: number): Promise<RgbFactors> {
  const latents = patchedNoise(channels); // [C, SIDE, SIDE]
  const decoded = await vae.decode(unscaled(latents, vae), [channels, SIDE, SIDE]); // [1, 3, H, W]
  const colours = [0, 1, 2].map((colour) => meansOf(decoded, colour, vae.scaleFactor)); // 3 × [SIDE, SIDE]
  const rows = Array.from({ length: SIDE * SIDE }, (_, place) => [
    ...Array.from({ length: channels }, (__, channel) => latents[channel * SIDE * SIDE + place] ?? 0),
    1,
  ]);
  const [red = [], green = [], blue = []] = colours.map((values) => leastSquares(rows, values));
  const rgb = (index: number) => [red[index] ?? 0, green[index] ?? 0, blue[index] ?? 0] as const;
  if (![...red, ...green, ...blue].every(Number.isFinite))
    throw new RangeError('the decoded values are not finite, so no preview can be fitted to them');
  return { rows: Array.from({ length: channels }, (_, channel) => rgb(channel)), bias: rgb(channels) };
}

/** Standard normals, one a patch. */
function patchedNoise(channels: number): Float32Array {
  const perSide = SIDE / PATCH;
  const normals = new TorchCpuGenerator(0).next(channels * perSide * perSide);
  return Float32Array.from({ length: channels * SIDE * SIDE }, (_, index) => {
    const [x, y, channel] = [index % SIDE, Math.floor(index / SIDE) % SIDE, Math.floor(index / (SIDE * SIDE))];
    return normals[(channel * perSide + Math.floor(y / PATCH)) * perSide + Math.floor(x / PATCH)] ?? 0;
  });
}

/** The mean of the pixels of each latent. @param decoded [1, 3, SIDE · scale, SIDE · scale] */
function meansOf(decoded: Float32Array, colour: number, scale: number): number[] {
  const width = SIDE * scale;
  const means = Array.from({ length: SIDE * SIDE }, () => 0);
  for (let y = 0; y < width; y++)
    for (let x = 0; x < width; x++) {
      const place = Math.floor(y / scale) * SIDE + Math.floor(x / scale);
      means[place] = (means[place] ?? 0) + (decoded[(colour * width + y) * width + x] ?? 0) / scale ** 2;
    }
  return means;
}

/** The x that makes |rows · x − values|² + RIDGE · |x|² smallest: the normal equations by elimination with pivots. */
function leastSquares(rows: readonly (readonly number[])[], values: readonly number[]): number[] {
  const count = rows[0]?.length ?? 0;
  const matrix = Array.from({ length: count }, (_, i) => [
    ...Array.from(
      { length: count },
      (__, j) => dot(rows, (row) => (row[i] ?? 0) * (row[j] ?? 0)) + (i === j ? RIDGE : 0),
    ),
    dot(rows, (row, index) => (row[i] ?? 0) * (values[index] ?? 0)),
  ]);
  for (let column = 0; column < count; column++) {
    const pivot = largestRow(matrix, column);
    [matrix[column], matrix[pivot]] = [matrix[pivot] ?? [], matrix[column] ?? []];
    const head = matrix[column] ?? [];
    for (const [index, row] of matrix.entries()) {
      if (index === column) continue;
      const factor = (row[column] ?? 0) / (head[column] ?? 1);
      for (let at = column; at <= count; at++) row[at] = (row[at] ?? 0) - factor * (head[at] ?? 0);
    }
  }
  return matrix.map((row, index) => (row[count] ?? 0) / (row[index] ?? 1));
}

function largestRow(matrix: readonly (readonly number[])[], column: number): number {
  let largest = column;
  for (let row = column + 1; row < matrix.length; row++)
    if (Math.abs(matrix[row]?.[column] ?? 0) > Math.abs(matrix[largest]?.[column] ?? 0)) largest = row;
  return largest;
}

function dot(rows: readonly (readonly number[])[], term: (row: readonly number[], index: number) => number): number {
  return rows.reduce((sum, row, index) => sum + term(row, index), 0);
}
