/**
 * `npm run bench -- --engines`: passes a minute of one process with all threads against several with their share of them, with and without processors
 * of their own; and the memory of each. Every process opens the same network out of the same compile cache, as the engines of one worker do.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { availableParallelism, cpus } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openComponentWeights } from '../src/checkpoint/component-weights.ts';
import { keepToCpus } from '../src/engine/child/keep-to-cpus.ts';
import { countText } from '../src/lib/count-text.ts';
import { type CpuShare, shareCpus } from '../src/lib/cpu-shares.ts';
import { UNET_2D_CONDITION_MODEL } from '../src/networks/unet-2d-condition-model.ts';
import { DEFAULT_RUNTIME } from '../src/runtime/registry.ts';
import { configOf, inputsOf, makeUnet, SHAPES, sizesOf } from './unet-shapes.ts';

const SHAPE = SHAPES.sd15;
const PASSES = 6;

interface Measured {
  readonly seconds: number;
  /** Memory that belongs to no file, in bytes: after the load, and after the passes. */
  readonly loadedBytes: number;
  readonly anonymousBytes: number;
  /** Pages of files, shared with every process that maps them. */
  readonly mappedBytes: number;
}

interface Way {
  readonly about: string;
  readonly engines: readonly CpuShare[];
}

/** What one process does: load, say so, and at the parent's word run its passes. */
async function serve([folder = '', cache = '', threads = '1', kept = '']: readonly string[]): Promise<void> {
  const problem = kept === '' ? undefined : await keepToCpus(kept);
  if (problem !== undefined) throw new Error(problem);
  const weights = await openComponentWeights({ component: 'unet', folder, baseName: 'diffusion_pytorch_model' });
  const sizes = sizesOf(SHAPE);
  const graph = UNET_2D_CONDITION_MODEL.build({ config: configOf(SHAPE), weights, computeType: 'float32', sizes });
  await using network = await DEFAULT_RUNTIME.open(graph, {
    device: 'cpu',
    computeType: 'float32',
    threads: Number(threads),
    use: 'every-step',
    cache: { folder: cache },
  });
  const loadedBytes = statusBytes('RssAnon');
  const inputs = inputsOf(SHAPE);
  await network.run(inputs);
  process.send?.('ready');
  await once(process, 'message');
  const startMs = performance.now();
  for (let pass = 0; pass < PASSES; pass++) await network.run(inputs);
  const seconds = (performance.now() - startMs) / 1000;
  const memory = { loadedBytes, anonymousBytes: statusBytes('RssAnon'), mappedBytes: statusBytes('RssFile') };
  process.send?.({ seconds, ...memory } satisfies Measured);
  process.disconnect();
}

function statusBytes(key: string): number {
  const status = readFileSync('/proc/self/status', 'utf8');
  return 1024 * Number(new RegExp(`^${key}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? 0);
}

async function measure({ engines }: Way, folder: string, cache: string): Promise<readonly Measured[]> {
  const children: ChildProcess[] = [];
  // One after the other, as a worker starts its engines: the first may have to fill the cache.
  for (const { threads, cpus: kept = '' } of engines) {
    const child = fork(fileURLToPath(import.meta.url), ['serve', folder, cache, String(threads), kept]);
    children.push(child);
    await once(child, 'message');
  }
  const results = children.map((child) => once(child, 'message'));
  for (const child of children) child.send('go');
  return (await Promise.all(results)).map(([measured]) => measured as Measured);
}

/** Of several engines with as many threads as the machine has in all. */
export async function benchEngines(place: string): Promise<void> {
  const folder = await makeUnet('sd15', place);
  const threads = availableParallelism();
  const counts = [2, 4, 8, 16].filter((count) => count <= threads);
  const ways: readonly Way[] = [
    { about: `1 engine × ${threads} threads`, engines: [{ threads, cpus: undefined }] },
    ...counts.flatMap((count) => {
      const shares = shareCpus(count);
      const about = `${count} engines × ${countText(shares[0]?.threads ?? 1, 'thread', 'threads')}`;
      const free = shares.map((share) => ({ ...share, cpus: undefined }));
      return [
        { about: `${about}, no processors of their own`, engines: free },
        { about: `${about}, each on its processors`, engines: shares },
      ];
    }),
  ];
  console.log(`${SHAPE.about}: UNet passes of ${PASSES} in each engine at the same time, on ${cpus()[0]?.model}`);
  for (const way of ways) {
    const measured = await measure(way, folder, join(place, 'compiled-engines'));
    const perMinute = measured.reduce((sum, { seconds }) => sum + (60 * PASSES) / seconds, 0);
    const memory = measured.map(
      ({ loadedBytes, anonymousBytes, mappedBytes }) =>
        `${gb(loadedBytes)} + ${gb(anonymousBytes - loadedBytes)} anonymous, ${gb(mappedBytes)} mapped`,
    );
    console.log(`${way.about.padEnd(52)} ${perMinute.toFixed(1)} passes a minute; ${memory.join('; ')}`);
  }
}

function gb(bytes: number): string {
  return `${(bytes / 1e9).toFixed(2)} GB`;
}

// One of its own processes.
const [first, ...rest] = process.argv.slice(2);
if (import.meta.main && first === 'serve') await serve(rest);
