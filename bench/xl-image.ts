/**
 * `npm run bench:xl`: Stable Diffusion XL in full size from one float16 file with random weights, which it makes once. It generates one 1024×1024 image with
 * two steps, first with an empty compile cache, then with a full one, and prints seconds and the peak of the memory that belongs to no file. It needs
 * 35 GB of disk below the cache folder. Arguments go to `generate`: `npm run bench:xl -- --low-memory on`.
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type FullSizeTensor, writeHeader } from '../test/checkpoint/single-file/full-size.ts';
import { KNOWN_CHECKPOINTS } from '../test/checkpoint/single-file/known-checkpoints.ts';

const place = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'text2img', 'bench');
const model = join(place, 'xl-random.safetensors');
const cache = join(place, 'compiled-xl-image');
const program = fileURLToPath(new URL('../bin/text2img.js', import.meta.url));

/** Elements of the numbers that all tensors share, each with its own scale. */
const BLOCK = 2 ** 20;

async function makeModel(): Promise<void> {
  mkdirSync(place, { recursive: true });
  const tensors = writeHeader(`${model}.part`, KNOWN_CHECKPOINTS['Stable Diffusion XL']);
  await using file = await open(`${model}.part`, 'r+');
  const random = Float32Array.from({ length: BLOCK }, randomNumbers());
  for (const { name, shape, offsetBytes } of tensors) {
    const elements = shape.reduce((product, size) => product * size, 1);
    const { mean, deviation } = distributionOf({ name, shape });
    const block = Float16Array.from(random.subarray(0, Math.min(BLOCK, elements)), (value) => mean + value * deviation);
    for (let first = 0; first < elements; first += BLOCK)
      await file.write(block, 0, 2 * Math.min(BLOCK, elements - first), offsetBytes + 2 * first);
  }
  renameSync(`${model}.part`, model);
}

/** −1 … 1, the same at each start. */
function randomNumbers(): () => number {
  let state = 1;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  };
}

/** Norms near one, biases near zero, the rest by the number of inputs, so that activations stay finite. */
function distributionOf({ name, shape }: Pick<FullSizeTensor, 'name' | 'shape'>): { mean: number; deviation: number } {
  if (shape.length === 1) return { mean: name.endsWith('.weight') ? 1 : 0, deviation: 0.02 };
  return { mean: 0, deviation: 1 / Math.sqrt(shape.slice(1).reduce((product, size) => product * size, 1)) };
}

/** Anonymous memory of a process and all below it. */
function anonymousBytes(root: number): number {
  const processes = new Map(
    readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .flatMap((name) => {
        try {
          return [[Number(name), readFileSync(`/proc/${name}/status`, 'utf8')] as const];
        } catch {
          return [];
        }
      }),
  );
  const numberIn = (status: string, key: string): number =>
    Number(new RegExp(`^${key}:\\s+(\\d+)`, 'm').exec(status)?.[1] ?? 0);
  const isBelow = (pid: number): boolean =>
    pid === root || (processes.has(pid) && isBelow(numberIn(processes.get(pid) ?? '', 'PPid')));
  return [...processes].reduce(
    (sum, [pid, status]) => sum + (isBelow(pid) ? 1024 * numberIn(status, 'RssAnon') : 0),
    0,
  );
}

async function generate(): Promise<{ readonly seconds: number; readonly peakBytes: number }> {
  const startMs = performance.now();
  const request = ['--steps', '2', '--guidance-scale', '1', '--seed', '1', '-W', '1024', '-H', '1024'];
  const output = ['--output', join(place, 'xl.png'), '--compile-cache', cache];
  const child = spawn(
    process.execPath,
    [program, 'generate', 'a red fox', '--model', model, ...request, ...output, ...process.argv.slice(2)],
    { stdio: ['ignore', 'inherit', 'inherit'] },
  );
  let peakBytes = 0;
  const timer = setInterval(() => (peakBytes = Math.max(peakBytes, anonymousBytes(child.pid ?? 0))), 50);
  const code = await new Promise((resolve) => child.once('exit', resolve));
  clearInterval(timer);
  if (code !== 0) throw new Error(`generate ended with ${String(code)}`);
  return { seconds: (performance.now() - startMs) / 1000, peakBytes };
}

if (!existsSync(model)) await makeModel();
rmSync(cache, { recursive: true, force: true });
for (const what of ['empty compile cache', 'full compile cache']) {
  const { seconds, peakBytes } = await generate();
  console.log(`${what}: ${seconds.toFixed(0)} s, peak anonymous memory ${(peakBytes / 1e9).toFixed(2)} GB`);
}
