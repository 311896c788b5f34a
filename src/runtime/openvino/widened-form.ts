/**
 * Weights of another type than float32, as an entry of the compile cache: once more in float32, or in 8 bits. OpenVINO would make the same copy in memory when it
 * compiles, and keep it beside the form that its kernels read. A file is mapped, and its pages are free as soon as they were read.
 */
import { join } from 'node:path';
import { Text2ImgError } from '../../errors/text2img-error.ts';
import type { BuiltGraph, Widening } from '../../onnx/graph.ts';
import { type CompiledForm, WIDENED_FILE } from '../compile-cache.ts';
import type { Session } from '../session-network.ts';

const EIGHT_BIT_FORM = 'written-out';

export interface Widenable {
  readonly graph: BuiltGraph;
  readonly widening: Widening;
  readonly open: (graph: BuiltGraph) => Session;
}

export function widenedForm({ graph, widening, open }: Widenable): CompiledForm<Session> {
  return {
    // Neither the release nor the processor changes the numbers.
    key: 'weights in float32 for OpenVINO',
    keepsWidened: true,
    eightBitForm: EIGHT_BIT_FORM,
    load: async (folder) => open(widening.graphOver(join(folder, WIDENED_FILE), EIGHT_BIT_FORM)),
    compileInto: async (_, widened) => {
      if (widened !== graph) return;
      throw new Text2ImgError(
        'disk_full',
        'there is no room for the weights in float32; they are converted in memory.',
      );
    },
    compile: async (ready) => open(ready),
  };
}
