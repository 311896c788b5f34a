/** Makes the values inside a graph visible: every value that is computed from the graph's inputs becomes an output. */
import type { BuiltGraph } from '../../src/onnx/graph.ts';
import { decodeModel, encodeModel, type NodeProto, type ValueInfoProto } from '../../src/onnx/onnx-schema.ts';
import type { HostTensor } from '../../src/runtime/contract.ts';
import { runGraph } from './vectors.ts';

/**
 * Layer → its values, when the graph runs on `inputs`. A layer is named by its weights (`down_blocks.0.resnets.0.conv1`) and has the values from its
 * own first operator to the next layer's.
 */
export async function valuesByLayer(
  graph: BuiltGraph,
  inputs: Readonly<Record<string, HostTensor>>,
): Promise<ReadonlyMap<string, readonly HostTensor[]>> {
  const model = decodeModel(graph.model);
  const layers = layersOf(model.graph);
  const known = new Set(model.graph.output.map(({ name }) => name));
  // ONNX Runtime finds the types of the added outputs itself.
  const added = [...layers.keys()].filter((name) => !known.has(name)).map((name) => ({ name }) as ValueInfoProto);
  const opened = encodeModel({ ...model, graph: { ...model.graph, output: [...model.graph.output, ...added] } });
  const values = await runGraph({ ...graph, model: opened }, inputs);
  const result = new Map<string, HostTensor[]>();
  for (const [name, layer] of layers) {
    const value = values[name];
    // Shapes are whole numbers.
    if (value === undefined || value.data instanceof BigInt64Array) continue;
    result.set(layer, [...(result.get(layer) ?? []), value]);
  }
  return result;
}

interface Nodes {
  readonly node: readonly NodeProto[];
  readonly initializer: readonly { readonly name: string }[];
  readonly input: readonly { readonly name: string }[];
}

/** Value → layer, for the values that depend on the graph's inputs. */
function layersOf({ node: nodes, initializer, input }: Nodes): ReadonlyMap<string, string> {
  const weightOf = new Map(initializer.map(({ name }) => [name, name]));
  const computed = new Set(input.map(({ name }) => name));
  const layers = new Map<string, string>();
  let layer = 'input';
  for (const { input: from, output: to } of nodes) {
    const weight = from.map((name) => weightOf.get(name)).find((name) => name !== undefined && name.includes('.'));
    if (!from.some((name) => computed.has(name))) {
      // A weight in another type is still that weight.
      if (weight !== undefined) for (const name of to) weightOf.set(name, weight);
      continue;
    }
    if (weight !== undefined) layer = weight.replace(/\.(weight|bias)$/, '');
    for (const name of to) {
      computed.add(name);
      layers.set(name, layer);
    }
  }
  return layers;
}

/** Layer → the largest of its numbers, without sign; NaN where one is NaN. */
export function largestOf(values: ReadonlyMap<string, readonly HostTensor[]>): ReadonlyMap<string, number> {
  return new Map(
    [...values].map(([layer, tensors]) => [
      layer,
      tensors.reduce(
        (most, { data }) => (data as Float32Array).reduce((max, x) => Math.max(max, Math.abs(x)), most),
        0,
      ),
    ]),
  );
}
