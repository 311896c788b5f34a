/** Finds weights under the names of a network's graph, also if they were saved under older names. */
import type { Weights } from '../onnx/weights.ts';

/** @param tensorName the graph's name for a stored one */
export function renamedWeights(weights: Weights, tensorName: (stored: string) => string): Weights {
  const stored = new Map<string, string>();
  for (const name of weights.names()) stored.set(tensorName(name), name);
  return {
    component: weights.component,
    names: () => stored.keys(),
    has: (name) => stored.has(name),
    place: (name) => weights.place(stored.get(name) ?? name),
    smallTensor: (name) => weights.smallTensor(stored.get(name) ?? name),
  };
}
