/** Entries of ONNX Runtime's session options about weights in files, without the prefix `session.`. */
import { basename } from 'node:path';
import type { BuiltGraph } from '../../onnx/graph.ts';

type Entries = Readonly<Record<string, string>>;

/** The folder that the graph's weights are relative to. */
export function weightsEntry({ weightFiles, weightsFolder }: BuiltGraph): Entries {
  return weightFiles.length === 0 ? {} : { model_external_initializers_file_folder_path: weightsFolder };
}

/**
 * Tensors of fewer bytes stay in the optimised graph, and so must every constant of the graph itself. ONNX Runtime 1.30 writes the mask of an
 * attention as prepacked weights. With some sizes (the demo's text encoder, not CLIP-L) it reads them back and then ends with a segmentation fault
 * when it runs (`test/onnx/compile-cache.test.ts`).
 */
const MIN_MAPPED_BYTES = 1024;

/** @param modelPath of the optimised graph; its weights lie beside it */
export function entriesForSaving(graph: BuiltGraph, modelPath: string): Entries {
  return {
    ...weightsEntry(graph),
    optimized_model_external_initializers_file_name: `${basename(modelPath)}.data`,
    optimized_model_external_initializers_min_size_in_bytes: String(
      Math.max(MIN_MAPPED_BYTES, graph.largestInlineBytes + 1),
    ),
    // ONNX Runtime 1.30 computes NaN with the packed weights of MatMulNBits that it saved itself (`test/runtime/eight-bit-weights.test.ts`).
    save_external_prepacked_constant_initializers: graph.weightType === 'int8' ? '0' : '1',
  };
}
