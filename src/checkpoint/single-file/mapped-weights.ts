/** A network's weights in a single file, under the names of its graph. No weight is copied: a part of a tensor is a part of the file. */
import type { TensorPlace, Weights } from '../../onnx/weights.ts';
import { omitUndefined } from '../../lib/omit-undefined.ts';
import { loadSmallTensors } from '../component-weights.ts';
import type { FileTensors } from './file-tensors.ts';
import type { NameTable, StoredName } from './name-table.ts';

export interface MappedWeights {
  readonly weights: Weights;
  /** The tensors of the file that belong to this network. */
  readonly used: ReadonlySet<string>;
}

/** @param component for messages @throws `model_not_found`, `invalid_safetensors` */
export async function mappedWeights(tensors: FileTensors, names: NameTable, component: string): Promise<MappedWeights> {
  const places = new Map<string, TensorPlace>();
  const used = new Set<string>();
  for (const [stored, place] of tensors.places)
    for (const name of names.graphNames(stored)) {
      used.add(stored);
      places.set(name, partOf(place, names.stored(name)));
    }
  const storedName = (name: string): string => names.stored(name)?.stored ?? name;
  return { used, weights: await loadSmallTensors({ component, where: tensors.path, storedName }, places) };
}

/** Rows lie one behind the other, so some of them are a range of bytes. */
function partOf(place: TensorPlace, stored: StoredName | undefined): TensorPlace {
  if (stored === undefined) return place;
  const { stored: storedName, transposed } = stored;
  const named: TensorPlace = { ...place, storedName, ...omitUndefined({ transposed }) };
  const { part, of } = stored.rows ?? { part: 0, of: 1 };
  const [rows = 0, ...rest] = place.shape;
  // A shape that cannot be right is left as it is: the graph refuses it with both shapes.
  if (rows % of !== 0) return named;
  const lengthBytes = place.lengthBytes / of;
  // A scale for each row has as many parts as the rows.
  const scale =
    (place.scale?.length ?? 1) === 1 ? place.scale : place.scale?.slice((part * rows) / of, ((part + 1) * rows) / of);
  return {
    ...named,
    shape: [rows / of, ...rest],
    offsetBytes: place.offsetBytes + part * lengthBytes,
    lengthBytes,
    ...omitUndefined({ scale }),
  };
}
