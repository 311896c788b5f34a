/** The portable graphs of the committed vectors, as digests of their bytes. Run it to write them anew after an intended change of a graph. */
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { readConfig } from '../../src/lib/config-rules.ts';
import { AUTOENCODER_KL } from '../../src/networks/autoencoder-kl.ts';
import { AUTOENCODER_TINY } from '../../src/networks/autoencoder-tiny.ts';
import { CLIP_TEXT_MODEL, CLIP_TEXT_MODEL_WITH_PROJECTION } from '../../src/networks/clip-text-model.ts';
import type { NetworkBuild, NetworkClass } from '../../src/networks/network-class.ts';
import { UNET_2D_CONDITION_MODEL } from '../../src/networks/unet-2d-condition-model.ts';
import type { BuiltGraph } from '../../src/onnx/graph.ts';
import { readVectors, type VectorCase } from './vectors.ts';

export type GraphOptions = Omit<NetworkBuild<unknown>, 'config' | 'weights'>;

export interface VectorGraph {
  /** The vectors' name; of another graph than the network's first also that one's. */
  readonly name: string;
  readonly vector: VectorCase;
  readonly build: (options: GraphOptions) => BuiltGraph;
}

/** A network class with the graphs whose weights the vectors of a group have. */
function graphsOf<C>(networkClass: NetworkClass<C>, vector: VectorCase, graphs: readonly string[]): VectorGraph[] {
  const { config } = readConfig(networkClass, vector.options, vector.name);
  return graphs.map((graph) => {
    const builder = graph === '' ? networkClass : networkClass.moreGraphs?.[graph];
    if (builder === undefined) throw new Error(`${networkClass.className} has no graph ${graph}`);
    return {
      name: graph === '' ? vector.name : `${vector.name}/${graph}`,
      vector,
      build: (options) => builder.build({ config, weights: vector.weights, ...options }),
    };
  });
}

const GROUPS: Readonly<Record<string, (vector: VectorCase) => VectorGraph[]>> = {
  clip: (vector) => graphsOf(CLIP_TEXT_MODEL, vector, ['', 'any_layer']),
  'clip-projection': (vector) => graphsOf(CLIP_TEXT_MODEL_WITH_PROJECTION, vector, ['']),
  unet: (vector) => graphsOf(UNET_2D_CONDITION_MODEL, vector, ['', 'shallow']),
  'unet-options': (vector) => graphsOf(UNET_2D_CONDITION_MODEL, vector, ['', 'shallow']),
  'unet-xl': (vector) => graphsOf(UNET_2D_CONDITION_MODEL, vector, ['', 'shallow']),
  vae: (vector) => graphsOf(AUTOENCODER_KL, vector, ['']),
  'vae-tiny': (vector) => graphsOf(AUTOENCODER_TINY, vector, ['']),
  'vae-tiny-encoder': (vector) => graphsOf(AUTOENCODER_TINY, vector, ['encoder']),
};

/** Every graph of every network that the vectors have weights for. */
export async function vectorGraphs(): Promise<readonly VectorGraph[]> {
  const found: VectorGraph[] = [];
  for (const [group, graphs] of Object.entries(GROUPS))
    for (const vector of await readVectors(group)) found.push(...graphs(vector));
  return found;
}

const FILE = fileURLToPath(new URL('portable-graphs.json', import.meta.url));

export function committedDigests(): unknown {
  return JSON.parse(readFileSync(FILE, 'utf8'));
}

/** Graph and compute type → digest of the model's bytes. */
export async function portableDigests(): Promise<Readonly<Record<string, string>>> {
  const digests: Record<string, string> = {};
  for (const { name, build } of await vectorGraphs())
    for (const computeType of ['float32', 'float16', 'bfloat16'] as const)
      digests[`${name} ${computeType}`] = createHash('sha256')
        .update(build({ computeType }).model)
        .digest('hex')
        .slice(0, 16);
  return digests;
}

if (import.meta.main) writeFileSync(FILE, `${JSON.stringify(await portableDigests(), null, 2)}\n`);
