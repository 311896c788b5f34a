/**
 * Feature caching with the full shape of Stable Diffusion 1.5: seconds and memory of a whole pass and of a shallow one at each branch, batch 1. Makes
 * the UNet's file and its compile cache entry (3.4 GB each) below the cache folder. `--branches 0,3` measures these. With one thread, the
 * processor's seconds say the shares on a machine that other work shares.
 */
import { homedir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { openComponentWeights } from '../src/checkpoint/component-weights.ts';
import { branchAt, featureSide } from '../src/networks/unet-2d-branches.ts';
import { UNET_2D_CONDITION_MODEL } from '../src/networks/unet-2d-condition-model.ts';
import type { HostTensors, Network } from '../src/runtime/contract.ts';
import { DEFAULT_RUNTIME } from '../src/runtime/registry.ts';
import { float32 } from '../src/runtime/tensors.ts';
import { anonymousBytes, median, timeRuns } from './timing.ts';
import { configOf, inputsOf, makeUnet, SHAPES, sizesOf } from './unet-shapes.ts';

const { values: flags } = parseArgs({
  options: {
    branches: { type: 'string', default: '0,1,2,3,5,8,11' },
    passes: { type: 'string', default: '3' },
    threads: { type: 'string', default: '0' },
  },
});
const place = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'text2img', 'bench');
const shape = SHAPES.sd15;
const config = configOf(shape);
const folder = await makeUnet('sd15', place);
const weights = await openComponentWeights({ component: 'unet', folder, baseName: 'diffusion_pytorch_model' });
const { whole, shallow } = UNET_2D_CONDITION_MODEL.moreGraphs ?? {};
if (whole === undefined || shallow === undefined) throw new Error('the UNet has no graphs for feature caching');

async function measure(what: string, builder: typeof whole, branch: number): Promise<void> {
  const beforeBytes = anonymousBytes();
  const graph = builder?.build({ config, weights, computeType: 'float32', sizes: sizesOf(shape), branch });
  if (graph === undefined) return;
  await using network: Network = await DEFAULT_RUNTIME.open(graph, {
    device: 'cpu',
    computeType: 'float32',
    threads: Number(flags.threads),
    // Threads that wait would count as work.
    use: 'once',
    cache: { folder: join(place, 'compiled-deep-cache') },
  });
  const openBytes = anonymousBytes();
  const feeds = builder === shallow ? { ...inputsOf(shape), ...featureAt(branch) } : inputsOf(shape);
  const processor: number[] = [];
  const seconds = await timeRuns(Number(flags.passes), async () => {
    const before = process.cpuUsage();
    await network.run(feeds);
    const { user, system } = process.cpuUsage(before);
    processor.push((user + system) / 1e6);
  });
  const mb = (bytes: number): string => `${(bytes / 1e6).toFixed(0)} MB`;
  console.log(
    `${what.padEnd(12)} ${median(seconds).toFixed(3)} s (processor ${median(processor.slice(1)).toFixed(3)} s)  ${(graph.flops / 1e9).toFixed(0)} GFLOP  weights ${mb(graph.weightBytes)}  ` +
      `own memory: opened ${mb(openBytes - beforeBytes)}, after its passes ${mb(anonymousBytes() - beforeBytes)}`,
  );
}

function featureAt(branch: number): HostTensors {
  const { channels, block } = branchAt(config, branch);
  const side = featureSide(shape.latents, block);
  const feature = Float32Array.from({ length: channels * side * side }, (_, index) => Math.cos(index));
  return { feature: float32(feature, [1, channels, side, side]) };
}

await measure('whole', whole, 0);
for (const branch of flags.branches.split(',').map(Number)) await measure(`branch ${branch}`, shallow, branch);
