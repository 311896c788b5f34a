/**
 * Opens a network of a checkpoint, runs it twice at each size, and prints estimates and growth.
 * Usage: node --expose-gc take-memory.ts FOLDER COMPONENT BATCHxHEIGHTxWIDTH…
 */
import { NetworkMemory } from '../../../src/engine/child/network-memory.ts';
import { anonymousBytes } from '../../../src/lib/own-memory.ts';
import { buildGraph } from '../../../src/pipelines/prove-fit.ts';
import type { HostTensors } from '../../../src/runtime/contract.ts';
import { float32 } from '../../../src/runtime/tensors.ts';
import { openKnown } from '../../checkpoint/open-known.ts';
import { openOnCpu } from '../../runtime/open-on-cpu.ts';

const [folder = '', component = '', ...sizes] = process.argv.slice(2);
const checkpoint = await openKnown(folder);
const { unet, vae } = checkpoint.networks;
const graph = buildGraph(checkpoint, component, { computeType: 'float32' });
const memory = new NetworkMemory({
  weightBytes: graph.weightBytes,
  livingAt: (at) => buildGraph(checkpoint, component, { computeType: 'float32', sizes: at }).activationBytes,
});
await using network = await openOnCpu(graph);

function collect(): void {
  if (gc === undefined) throw new Error('start it with --expose-gc');
  gc();
}

function filled(...shape: readonly number[]): HostTensors[string] {
  return float32(new Float32Array(shape.reduce((product, size) => product * size, 1)).fill(0.1), shape);
}

function inputs(batch: number, height: number, width: number): HostTensors {
  if (component === 'vae') return { latent_sample: filled(1, vae.config.latent_channels, height, width) };
  const features = unet.config.cross_attention_dim as number;
  return {
    sample: filled(batch, unet.config.in_channels, height, width),
    timestep: filled(1),
    encoder_hidden_states: filled(batch, 77, features),
  };
}

const results = [];
for (const size of sizes) {
  const [batch = 1, height = 1, width = 1] = size.split('x').map(Number);
  const estimatedBytes = memory.activationBytes({ batch, height, width });
  // What building left would otherwise be collected meanwhile, and the runs would seem to take less.
  collect();
  const before = anonymousBytes() ?? 0;
  for (let k = 0; k < 2; k++) await network.run(inputs(batch, height, width));
  results.push({ estimatedBytes, takenBytes: (anonymousBytes() ?? 0) - before });
}
process.stdout.write(JSON.stringify(results));
