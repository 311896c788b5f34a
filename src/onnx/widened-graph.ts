/** A graph over a file with its weights as it wants them: in its own type, in 8 bits, or with a convolution's inputs last. */
import { basename, dirname } from 'node:path';
import type { BuiltGraph, Widening } from './built-graph.ts';
import { type PackedProduct, packProducts, writtenTensors } from './eight-bit-weights.ts';
import { commonFolder, externalLocation } from './external-files.ts';
import type { NodeProto, TensorProto } from './onnx-schema.ts';
import { externalAt, type WeightFilePlace } from './protos.ts';
import { type ExternalWeight, placeInOneFile } from './widening.ts';

export interface PlacedWeight extends ExternalWeight {
  /** Of its initialiser. */
  readonly index: number;
}

interface WidenableGraph {
  readonly external: readonly PlacedWeight[];
  readonly initializers: readonly TensorProto[];
  readonly nodes: readonly NodeProto[];
  /** Products with 8-bit weights, by the weight's value. */
  readonly packed: ReadonlyMap<string, PackedProduct>;
  readonly facts: Omit<BuiltGraph, 'model' | 'modelOver' | 'weightsFolder' | 'weightFiles'>;
  readonly encode: (nodes: readonly NodeProto[], initializers: readonly TensorProto[]) => Uint8Array;
}

/** Whether the file has all weights, or only those that the graph wants otherwise than they are stored. */
type Extent = 'all' | 'converted';

/** @returns undefined where every weight is stored as the graph wants it */
export function widenedGraph(graph: WidenableGraph, extent: Extent): Widening | undefined {
  const { external, packed } = graph;
  const isChanged = ({ converters, valueName }: PlacedWeight): boolean =>
    converters.length > 0 || packed.has(valueName);
  if (!external.some(isChanged)) return undefined;
  const written = external.filter((weight) => extent === 'all' || isChanged(weight));
  const plan = placeInOneFile(written.map((weight) => ({ ...weight, block: packed.get(weight.valueName)?.block })));
  const places = new Map(written.map(({ index }, k) => [index, plan.tensors[k] as (typeof plan.tensors)[number]]));
  const converters = new Set(external.flatMap((weight) => weight.converters));
  const unpacked = graph.nodes.filter((node) => !converters.has(node.name));
  const stored = external.filter(({ index }) => !places.has(index));
  return {
    ...plan,
    graphOver: (file, form = 'packed') => {
      const { nodes, constants } = packProducts(unpacked, packed, form);
      const modelOver = (placeOf: (file: string) => WeightFilePlace): Uint8Array => {
        const initializers = [...graph.initializers];
        for (const { index, valueName, dims } of written) {
          const tensor = places.get(index) as (typeof plan.tensors)[number];
          const weight = { name: valueName, dims, packed: packed.get(valueName) };
          const [first, ...others] = writtenTensors(weight, tensor, { file: placeOf(file), form });
          initializers[index] = first;
          initializers.push(...others);
        }
        for (const { index, place } of stored)
          initializers[index] = { ...(initializers[index] as TensorProto), ...externalAt(place, placeOf(place.file)) };
        initializers.push(...constants);
        return graph.encode(nodes, initializers);
      };
      const weightFiles = [file, ...new Set(stored.map(({ place }) => place.file))];
      const isAlone = weightFiles.length === 1;
      const folder = isAlone ? dirname(file) : commonFolder(weightFiles);
      const model = modelOver((path) => ({ location: isAlone ? basename(path) : externalLocation(folder, path) }));
      return { ...graph.facts, model, modelOver, weightsFolder: folder, weightFiles };
    },
  };
}
