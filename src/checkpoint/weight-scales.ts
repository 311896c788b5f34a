/**
 * The scales of float8 weights: a weight's own value is the stored one times its scale, one number for all or one for each row.
 * Source of the names: ComfyUI's scaled float8 files (`scale_weight`), and those of compressed-tensors and torchao (`weight_scale`).
 */
import { openCheckpointFile } from './checkpoint-file.ts';
import { readNumbers } from './read-numbers.ts';
import { readExactly } from './safetensors.ts';
import type { TensorPlace } from '../onnx/weights.ts';

const FLOAT8 = new Set(['F8_E4M3', 'F8_E5M2']);
const NAMES = ['scale_weight', 'weight_scale'] as const;

export interface ScaledPlaces {
  /** The same places; a weight that has a scale carries it. */
  readonly places: ReadonlyMap<string, TensorPlace>;
  /** Names of the tensors that are scales. */
  readonly scales: ReadonlySet<string>;
}

/** @param places of one file, by its own names @throws `invalid_safetensors`, `model_not_found` */
export async function withScales(path: string, places: ReadonlyMap<string, TensorPlace>): Promise<ScaledPlaces> {
  const found = [...places].flatMap(([name, { dtype }]) => {
    const scale = FLOAT8.has(dtype) ? scaleName(name, places) : undefined;
    return scale === undefined ? [] : [[name, scale] as const];
  });
  if (found.length === 0) return { places, scales: new Set() };
  await using handle = await openCheckpointFile(path);
  const scaled = new Map(places);
  for (const [name, scale] of found) {
    const [weight, place] = [places.get(name) as TensorPlace, places.get(scale) as TensorPlace];
    const bytes = new Uint8Array(place.lengthBytes);
    await readExactly(handle, { bytes, at: place.offsetBytes, path });
    const numbers = readNumbers(bytes, place.dtype);
    if (numbers !== undefined) scaled.set(name, { ...weight, scale: numbers });
  }
  return { places: scaled, scales: new Set(found.map(([, scale]) => scale)) };
}

/** The scale stands beside `x.weight` as `x.scale_weight` or `x.weight_scale`: one number, or one for each row. */
function scaleName(name: string, places: ReadonlyMap<string, TensorPlace>): string | undefined {
  if (!name.endsWith('.weight')) return undefined;
  const module = name.slice(0, -'weight'.length);
  const rows = places.get(name)?.shape[0];
  return NAMES.map((scale) => module + scale).find((scale) => {
    const count = places.get(scale)?.shape.reduce((product, size) => product * size, 1);
    return count === 1 || (count !== undefined && count === rows);
  });
}
