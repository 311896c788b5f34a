/**
 * How much memory a graph's values take at most at once, by their shapes alone. A runtime computes the nodes in their order and frees a value after
 * the last node that reads it. `docs/decisions/memory.md` compares the figures with what runtimes take.
 */

export interface ComputedNode {
  readonly opType: string;
  /** Names; '' for one that is left out. */
  readonly inputs: readonly string[];
  readonly results: readonly { readonly name: string; readonly bytes: number }[];
  /** That it needs only while it runs. */
  readonly workspaceBytes?: number;
}

/** Their result is their first input in another shape. */
const VIEWS: ReadonlySet<string> = new Set(['Reshape', 'Identity']);

/**
 * @param nodes in the order of the graph
 * @param constants names of the values that are known before the graph runs: they are weights, and so is what is made of them alone
 * @param outputs names of the graph's outputs, which live to its end
 */
export function peakActivationBytes(
  nodes: readonly ComputedNode[],
  { constants, outputs }: { readonly constants: ReadonlySet<string>; readonly outputs: readonly string[] },
): number {
  const owners = new Map<string, string>();
  const folded = new Set(constants);
  const running: ComputedNode[] = [];
  for (const node of nodes) {
    const named = node.inputs.filter((name) => name !== '');
    if (named.every((name) => folded.has(name))) for (const { name } of node.results) folded.add(name);
    else {
      running.push(node);
      const [source] = named;
      const [result] = node.results;
      if (VIEWS.has(node.opType) && source !== undefined && result !== undefined)
        owners.set(result.name, owners.get(source) ?? source);
    }
  }
  const ownerOf = (name: string): string => owners.get(name) ?? name;
  const lastUse = new Map<string, number>();
  for (const [index, { inputs }] of running.entries()) for (const name of inputs) lastUse.set(ownerOf(name), index);
  for (const name of outputs) lastUse.set(ownerOf(name), running.length);

  const living = new Map<string, number>();
  let [now, peak] = [0, 0];
  for (const [index, { inputs, results, workspaceBytes = 0 }] of running.entries()) {
    for (const { name, bytes } of results) {
      if (owners.has(name)) continue;
      living.set(name, bytes);
      now += bytes;
    }
    peak = Math.max(peak, now + workspaceBytes);
    for (const name of [...inputs.map(ownerOf), ...results.map((result) => ownerOf(result.name))]) {
      if ((lastUse.get(name) ?? index) > index) continue;
      now -= living.get(name) ?? 0;
      living.delete(name);
    }
  }
  return peak;
}
