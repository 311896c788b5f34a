/**
 * The demo's text encoder with many layers, all of the first one's weights: small files, and a graph that takes long to compile. As a program
 * (`deep-text-encoder.ts FOLDER LAYERS`) it opens it through the compile cache in FOLDER, in a process of its own, and prints what it got as JSON.
 */
import { createHash } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { openKnown } from '../checkpoint/open-known.ts';
import type { Weights } from '../../src/onnx/weights.ts';
import { CLIP_TEXT_MODEL } from '../../src/networks/clip-text-model.ts';
import { floatsOf, int32 } from '../../src/runtime/tensors.ts';
import { openOnCpu } from './open-on-cpu.ts';

const TOKENS = 77;
const demo = fileURLToPath(new URL('../../models/demo', import.meta.url));

export interface Opened {
  /** A digest of the output. */
  readonly digest: string;
  readonly notes: readonly string[];
}

/** @param folder of the cache; null: without one */
export async function openDeepTextEncoder(folder: string | null, layers: number): Promise<Opened> {
  const { text_encoder: textEncoder } = (await openKnown(demo)).networks;
  const graph = CLIP_TEXT_MODEL.build({
    config: { ...textEncoder.config, num_hidden_layers: layers },
    weights: repeated(textEncoder.weights),
    computeType: 'float32',
  });
  const notes: string[] = [];
  await using network = await openOnCpu(graph, {
    folder,
    minWeightBytes: 0,
    onNote: (sentence) => notes.push(sentence),
  });
  const outputs = await network.run({ input_ids: int32(new Int32Array(TOKENS).fill(5), [1, TOKENS]) });
  const digest = createHash('sha256')
    .update(Float32Array.from(floatsOf(outputs, 'last_hidden_state')))
    .digest('hex');
  return { digest, notes };
}

/** Every layer is the first one. */
function repeated(weights: Weights): Weights {
  const stored = (name: string): string => name.replace(/^encoder\.layers\.\d+\./, 'encoder.layers.0.');
  return {
    component: weights.component,
    names: () => weights.names(),
    has: (name) => weights.has(stored(name)),
    place: (name) => weights.place(stored(name)),
    smallTensor: (name) => weights.smallTensor(stored(name)),
  };
}

const [, program, folder, layers] = process.argv;
if (program === fileURLToPath(import.meta.url) && folder !== undefined)
  process.stdout.write(`${JSON.stringify(await openDeepTextEncoder(folder, Number(layers)))}\n`);
