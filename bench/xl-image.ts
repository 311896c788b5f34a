/**
 * `npm run bench:xl`: Stable Diffusion XL in full size from one float16 file with random weights, which it makes once. It generates one 1024×1024 image with
 * two steps, first with an empty compile cache, then with a full one, and prints seconds and the peak of the memory that belongs to no file. It needs
 * 35 GB of disk below the cache folder. Arguments go to `generate`: `npm run bench:xl -- --low-memory on`.
 */
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { BENCH_FOLDER, makeCheckpoint } from './checkpoints.ts';

const place = BENCH_FOLDER;
const model = await makeCheckpoint('sdxl');
const cache = join(place, 'compiled-xl-image');
const program = fileURLToPath(new URL('../bin/text2img.js', import.meta.url));

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

rmSync(cache, { recursive: true, force: true });
for (const what of ['empty compile cache', 'full compile cache']) {
  const { seconds, peakBytes } = await generate();
  console.log(`${what}: ${seconds.toFixed(0)} s, peak anonymous memory ${(peakBytes / 1e9).toFixed(2)} GB`);
}
