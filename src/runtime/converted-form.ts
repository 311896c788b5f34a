/**
 * An entry of the compile cache with weights as a graph wants them: in another type or order, or in 8 bits. A runtime would make the same copy in
 * memory when it opens the graph. A file is mapped, and its pages are free as soon as they were read.
 */
import { realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { Text2ImgError } from '../errors/text2img-error.ts';
import type { BuiltGraph, Widening } from '../onnx/built-graph.ts';
import type { EightBitForm } from '../onnx/eight-bit-weights.ts';
import { type CompiledForm, openThroughCache, WIDENED_FILE } from './compile-cache.ts';
import type { CompileCacheSettings } from './contract.ts';

export interface Convertible<N extends AsyncDisposable> {
  /** Neither the release nor the processor changes the numbers, so it need not name them. */
  readonly key: string;
  readonly graph: BuiltGraph;
  readonly widening: Widening;
  /** Absent: `packed`. */
  readonly eightBitForm?: EightBitForm;
  readonly open: (graph: BuiltGraph) => N | Promise<N>;
}

/** A graph with the weights that it wants out of the cache. Without one the runtime converts them in memory. */
export async function openConverted<N extends AsyncDisposable>(
  graph: BuiltGraph,
  open: (graph: BuiltGraph) => Promise<N>,
  cache: CompileCacheSettings = { folder: null },
): Promise<N> {
  const { form, widening } = graph;
  if (form !== 'fused' || widening === undefined) return await open(graph);
  return await openThroughCache(graph, convertedForm({ key: 'weights for CUDA', graph, widening, open }), cache);
}

export function convertedForm<N extends AsyncDisposable>(options: Convertible<N>): CompiledForm<N> {
  const { key, graph, widening, eightBitForm, open } = options;
  return {
    key,
    keepsWidened: true,
    ...(eightBitForm === undefined ? {} : { eightBitForm }),
    // The graph may name files beside the cache as well, and a runtime follows no link out of the folder of all.
    load: async (folder) => await open(widening.graphOver(join(await realpath(folder), WIDENED_FILE), eightBitForm)),
    compileInto: async (_, widened) => {
      if (widened !== graph) return;
      throw new Text2ImgError('disk_full', 'there is no room for the converted weights; they are converted in memory.');
    },
    compile: async (ready) => await open(ready),
  };
}
