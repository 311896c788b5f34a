/**
 * `npm run bench`: seconds per UNet pass of the full SD 1.5 and SDXL shapes, as a share of the best matrix product in the same run; load times, memory,
 * the demo picture. `npm run bench -- --python PATH` also times diffusers in that Python, in the same run. `--shapes sd15` leaves XL out, which takes
 * minutes, 21 GB of disk below the cache folder and 13 GB of memory. `--engines` compares several engines with one instead.
 */
import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { availableParallelism, cpus, homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { loadModel } from '../src/engine/child/load-model.ts';
import { FAMILIES } from '../src/pipelines/registry.ts';
import { runJobs } from '../src/pipelines/run-jobs.ts';
import { benchEngines } from './engines.ts';
import { gemmFlopsPerSecond } from './gemm.ts';
import { median, timeRuns } from './timing.ts';
import { isShapeName, makeUnet, SHAPES, type ShapeName } from './unet-shapes.ts';
import { cpuSettings } from '../test/engine/cpu-settings.ts';
import { aRequest } from '../test/job/a-request.ts';

interface PassReport {
  readonly loadSeconds: number;
  readonly residentBytes: number;
  readonly peakBytes: number;
  readonly weightBytes: number;
  readonly flops: number;
  readonly graphBytes: number;
  readonly passSeconds: number;
}

const { values: flags } = parseArgs({
  options: {
    python: { type: 'string' },
    passes: { type: 'string', default: '3' },
    // A pass of XL takes as long as eight of SD 1.5.
    'xl-passes': { type: 'string', default: '2' },
    shapes: { type: 'string', default: Object.keys(SHAPES).join() },
    // Several engines against one, and nothing else.
    engines: { type: 'boolean', default: false },
  },
});
const place = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'text2img', 'bench');
if (flags.engines) {
  await benchEngines(place);
  process.exit();
}
const cache = join(place, 'compiled');
const threads = availableParallelism();
const here = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

function say(what: string, value: string): void {
  console.log(`${what.padEnd(52)} ${value}`);
}

interface Measured {
  readonly name: ShapeName;
  readonly folder: string;
  readonly passes: string;
}

/** In a process of its own, so that memory and load times are its own. */
function passReport({ name, folder, passes }: Measured, cacheFolder: string): PassReport {
  const args = [here('unet-pass.ts'), name, folder, cacheFolder, String(threads), passes];
  return JSON.parse(
    execFileSync(process.execPath, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] }),
  ) as PassReport;
}

/** @param best of the matrix products, FLOP/s */
function sayPass(report: PassReport, { name, passes }: Measured, best: number): void {
  const rate = report.flops / report.passSeconds;
  say(`UNet pass, ${SHAPES[name].about}, batch 1`, `${report.passSeconds.toFixed(2)} s (median of ${passes})`);
  say(
    '  arithmetic, counted from the graph',
    `${(report.flops / 1e12).toFixed(3)} TFLOP, graph ${(report.graphBytes / 1000).toFixed(0)} kB`,
  );
  say('  speed, share of the best GEMM', `${(rate / 1e9).toFixed(0)} GFLOP/s, ${((100 * rate) / best).toFixed(0)} %`);
}

const share = (bytes: number, { weightBytes }: PassReport): string => (bytes / weightBytes).toFixed(2);

/** @returns seconds per pass */
function measureShape(measured: Measured, best: number): number {
  rmSync(cache, { recursive: true, force: true });
  const plain = measured.name === 'sd15' ? passReport(measured, 'off') : undefined;
  if (plain !== undefined) {
    sayPass(plain, measured, best);
    say('  load without compile cache', `${plain.loadSeconds.toFixed(1)} s`);
    say('  resident after one pass / weights', share(plain.residentBytes, plain));
  }
  const first = passReport({ ...measured, passes: '0' }, cache);
  const second = passReport(measured, cache);
  if (plain === undefined) sayPass(second, measured, best);
  say(
    '  load that fills the compile cache',
    `${first.loadSeconds.toFixed(1)} s, at most ${share(first.peakBytes, first)} × the weights resident`,
  );
  say('  load with a warm compile cache', `${second.loadSeconds.toFixed(1)} s`);
  say(
    '  pass, resident / weights with a warm cache',
    `${second.passSeconds.toFixed(2)} s, ${share(second.residentBytes, second)}`,
  );
  return Math.min(plain?.passSeconds ?? Number.POSITIVE_INFINITY, second.passSeconds);
}

function compareWithDiffusers({ name, passes }: Measured, ownSeconds: number): void {
  if (flags.python === undefined) return;
  const args = [here('diffusers-unet-pass.py'), name, String(threads), passes];
  const seconds = Number(execFileSync(flags.python, args, { encoding: 'utf8' }).trim().split('\n').at(-1));
  say(
    '  the same pass in diffusers on PyTorch, eager',
    `${seconds.toFixed(2)} s; text2img is ${(seconds / ownSeconds).toFixed(2)} × as fast`,
  );
}

say('machine', `${cpus()[0]?.model ?? ''}, ${threads} threads`);
const gemms = [await gemmFlopsPerSecond(1024, threads), await gemmFlopsPerSecond(2048, threads)];
say('GEMM 1024³, 2048³ through ONNX Runtime', gemms.map((rate) => `${(rate / 1e9).toFixed(0)} GFLOP/s`).join(', '));
for (const name of flags.shapes.split(',')) {
  if (!isShapeName(name)) throw new Error(`--shapes takes ${Object.keys(SHAPES).join(', ')}, not ${name}`);
  const passes = name === 'sdxl' ? flags['xl-passes'] : flags.passes;
  const measured = { name, folder: await makeUnet(name, place), passes };
  compareWithDiffusers(measured, measureShape(measured, Math.max(...gemms)));
}

const demo = fileURLToPath(new URL('../models/demo', import.meta.url));
await using model = await loadModel(cpuSettings(demo), FAMILIES);
const request = {
  prompt: 'a red circle on a white background',
  negativePrompt: '',
  seed: 0,
  numInferenceSteps: 20,
  guidanceScale: 4,
};
const job = {
  jobId: 'demo',
  request: aRequest({ ...request, widthPx: 256, heightPx: 256 }),
  images: [],
  signal: new AbortController().signal,
};
const draw = (): Promise<void> =>
  runJobs(model.pipeline, [job], {
    maxBatchImages: 1,
    yieldToEventLoop: () => new Promise((resolve) => setImmediate(resolve)),
    observer: {
      onProgress: () => undefined,
      onImage: () => undefined,
      onDone: () => undefined,
      onFailed: (_, error) => {
        throw error;
      },
    },
  });
say(
  'demo image, 256×256, 20 steps, guidance 4',
  `${median(await timeRuns(5, draw)).toFixed(2)} s; model loads in ${(model.facts.loadMs / 1000).toFixed(2)} s`,
);
