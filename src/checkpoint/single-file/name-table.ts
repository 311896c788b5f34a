/**
 * The names of a network's tensors in two layouts: as its graph asks for them, and as the original layout stores them. A table has pairs of module
 * names; what follows a module's name is the same in both. A pair may also stand for a part of a tensor, or for one that is stored transposed.
 */

export interface NamePair {
  /** As the graph asks for it: a module, or a whole tensor's name. */
  readonly graph: string;
  /** As the file has it, without the network's own prefix. */
  readonly stored: string;
  /** Only these rows of the stored tensor, such as the second of three thirds. */
  readonly rows?: { readonly part: number; readonly of: number };
  /** The file has the matrix the other way round. */
  readonly transposed?: true;
}

/** A tensor of the graph as the file has it. */
export type StoredName = Omit<NamePair, 'graph'>;

export class NameTable {
  readonly #prefix: string;
  readonly #byGraph: ReadonlyMap<string, NamePair>;
  readonly #byStored: ReadonlyMap<string, readonly NamePair[]>;

  /** @param prefix of all the network's names in the file, with its dot */
  constructor(prefix: string, pairs: readonly NamePair[]) {
    this.#prefix = prefix;
    this.#byGraph = new Map(pairs.map((pair) => [pair.graph, pair]));
    this.#byStored = Map.groupBy(pairs, ({ stored }) => stored);
  }

  /** The name in the file for one that the graph asks for; undefined where the original layout has no such tensor. */
  stored(name: string): StoredName | undefined {
    for (const [module, rest] of beginnings(name)) {
      const pair = this.#byGraph.get(module);
      if (pair !== undefined) return { ...pair, stored: this.#prefix + pair.stored + rest };
    }
    return undefined;
  }

  /** The graph's names for a tensor of the file: none, one, or one for each part. */
  graphNames(stored: string): readonly string[] {
    if (!stored.startsWith(this.#prefix)) return [];
    for (const [module, rest] of beginnings(stored.slice(this.#prefix.length))) {
      const pairs = this.#byStored.get(module);
      if (pairs !== undefined) return pairs.map(({ graph }) => graph + rest);
    }
    return [];
  }
}

/** The whole name, then shorter and shorter beginnings that end before a dot, each with its rest. */
function* beginnings(name: string): Iterable<readonly [module: string, rest: string]> {
  yield [name, ''];
  for (let dot = name.lastIndexOf('.'); dot > 0; dot = name.lastIndexOf('.', dot - 1))
    yield [name.slice(0, dot), name.slice(dot)];
}

/** Pairs of modules whose tensors have equal names behind them. @param modules graph's name → the file's */
export function pairs(modules: Readonly<Record<string, string>>): readonly NamePair[] {
  return Object.entries(modules).map(([graph, stored]) => ({ graph, stored }));
}
