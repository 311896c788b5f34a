/** (f) Whole pictures through the worker: enqueued, generated, encoded, stored and completed, as in production. */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { usedMemoryBytes } from '../gpu-facts.ts';
import { benchModel } from '../models.ts';
import { ensureModel } from '../random-model.ts';
import type { Report, TaskOf } from '../step.ts';

const PROGRAM = fileURLToPath(new URL('../../../bin/text2img.js', import.meta.url));
/** The first one is not counted: kernels are searched in it. */
const BATCHES = 4;
const LOOK_MS = 500;

export async function workerStep(task: TaskOf<'worker'>, report: Report): Promise<void> {
  const { model, isTiny, workFolder, batchSize, device } = task;
  const folder = await ensureModel(model, task);
  const { sizePx } = benchModel(model, isTiny);
  const place = mkdtempSync(join(workFolder, 'worker-'));
  try {
    const count = BATCHES * batchSize;
    const prompts = Array.from({ length: count }, (_, index) =>
      JSON.stringify({
        text: `a red fox on a hill in the snow, number ${index}`,
        seed: index,
        num_inference_steps: task.steps,
        guidance_scale: 7.5,
        width: sizePx,
        height: sizePx,
      }),
    );
    const file = join(place, 'prompts.jsonl');
    writeFileSync(file, `${prompts.join('\n')}\n`);
    const queue = ['--data-dir', join(place, 'data')];
    const args = ['--model', folder, '--device', device, '--batch-size', String(batchSize), ...queue];
    for (let start = 1; start <= task.starts; start++) {
      enqueue([file, ...queue]);
      const { ends, memoryBytes, ready } = await runWorker([...args, '--offline', '--json'], device);
      report({
        what: task.starts === 1 ? `${count} images` : `${count} images, start ${start}`,
        steps: task.steps,
        batch: batchSize,
        ...ready,
        ...throughput(ends, batchSize),
        ...memoryBytes,
      });
    }
  } finally {
    rmSync(place, { recursive: true, force: true });
  }
}

function enqueue(args: readonly string[]): void {
  const { status, stderr } = spawnSync(process.execPath, [PROGRAM, 'enqueue', ...args], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`enqueue ended with ${status}: ${stderr.trim().slice(-300)}`);
}

interface Worked {
  /** When each picture was completed, in seconds since the start. */
  readonly ends: readonly number[];
  readonly memoryBytes: { readonly memoryBytes?: number };
  /** What the worker logged about the loaded model. */
  readonly ready: Readonly<Record<string, string>>;
}

/** Words of the log's line "model ready". */
const FACTS = ['device', 'dtype', 'runtime', 'form'];

async function runWorker(args: readonly string[], device: string): Promise<Worked> {
  const beforeBytes = device === 'cpu' ? 0 : (usedMemoryBytes(device) ?? 0);
  const startMs = performance.now();
  const child = spawn(process.execPath, [PROGRAM, 'run', ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  const ends: number[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => {
    if (line.startsWith('{"type":"completed"')) ends.push((performance.now() - startMs) / 1000);
  });
  const ready: Record<string, string> = {};
  createInterface({ input: child.stderr }).on('line', (line) => {
    process.stderr.write(`${line}\n`);
    if (line.includes('model ready')) Object.assign(ready, factsOf(line));
  });
  let most: number | undefined;
  const look = (): void => {
    // The engine is a process of its own, whose memory nobody here knows on a CPU.
    const used = device === 'cpu' ? undefined : usedMemoryBytes(device);
    if (used !== undefined) most = Math.max(most ?? 0, used - beforeBytes);
  };
  const timer = setInterval(look, LOOK_MS);
  const code = await new Promise((settle) => child.once('close', settle));
  clearInterval(timer);
  if (code !== 0) throw new Error(`the worker ended with ${String(code)}`);
  return { ends, memoryBytes: most === undefined ? {} : { memoryBytes: most }, ready };
}

/** Of a line of the log, as `device=cpu` or `"device":"cpu"`. */
function factsOf(line: string): Readonly<Record<string, string>> {
  const found = FACTS.map((name) => [name, new RegExp(`\\b${name}(?:=|":)"?([\\w:-]+)`).exec(line)?.[1]] as const);
  return Object.fromEntries(found.filter((pair): pair is readonly [string, string] => pair[1] !== undefined));
}

/** Without the first batch, and without loading. */
function throughput(ends: readonly number[], batchSize: number): Readonly<Record<string, number>> {
  const from = ends[batchSize - 1];
  const to = ends.at(-1);
  if (from === undefined || to === undefined || ends.length <= batchSize)
    throw new Error(`${ends.length} images were completed, which is too few to tell their rate`);
  return { firstSeconds: ends[0] ?? Number.NaN, imagesPerSecond: (ends.length - batchSize) / (to - from) };
}
