/**
 * `npm run bench`: what this machine does, in parts (`--parts`, all by default):
 * `gemm` the best matrix product; `load` load times and memory of the full UNets; `pass` one UNet pass and `image` a whole image, in text2img by runtime
 * and compute type and in the rivals; `demo` the demo image. It prints what it measures, and keeps gemm, passes and images in bench/results/.
 * `--engines` compares several engines with one instead. bench/README.md has the options, the disk space and the rivals' packages.
 */
import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { availableParallelism, cpus } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { loadModel } from '../src/engine/child/load-model.ts';
import { FAMILIES } from '../src/pipelines/registry.ts';
import { BENCH_FOLDER, makeCheckpoint, makeTokenizer } from './checkpoints.ts';
import { contestants, measure, type TaskName } from './compare.ts';
import { drawImage } from './draw-image.ts';
import { benchEngines } from './engines.ts';
import { gemmFlopsPerSecond } from './gemm.ts';
import { watchOthers } from './other-programs.ts';
import { keep, keepGemm } from './results.ts';
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

const PARTS = ['gemm', 'load', 'pass', 'image', 'demo'];

const { values: flags } = parseArgs({
  options: {
    python: { type: 'string' },
    parts: { type: 'string', default: PARTS.join() },
    passes: { type: 'string', default: '3' },
    // A pass of XL takes as long as eight of SD 1.5.
    'xl-passes': { type: 'string', default: '2' },
    images: { type: 'string', default: '1' },
    steps: { type: 'string', default: '20' },
    shapes: { type: 'string', default: Object.keys(SHAPES).join() },
    only: { type: 'string', default: '' },
    // Several engines against one, and nothing else.
    engines: { type: 'boolean', default: false },
  },
});
if (flags.engines) {
  await benchEngines(BENCH_FOLDER);
  process.exit();
}
const parts = listed(flags.parts, PARTS);
const shapes = listed(flags.shapes, Object.keys(SHAPES)).filter(isShapeName);
const cache = join(BENCH_FOLDER, 'compiled');
const threads = availableParallelism();
const here = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

function listed(text: string, allowed: readonly string[]): readonly string[] {
  const wrong = text.split(',').find((name) => !allowed.includes(name));
  if (wrong !== undefined) throw new Error(`${wrong} is not one of ${allowed.join(', ')}`);
  return text.split(',');
}

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

function measureShape(measured: Measured, best: number): void {
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
}

const passesOf = (name: ShapeName): string => (name === 'sdxl' ? flags['xl-passes'] : flags.passes);

async function compare(task: TaskName, shape: ShapeName): Promise<void> {
  const steps = Number(flags.steps);
  const about = task === 'pass' ? 'one UNet pass' : `an image, ${steps} steps, guidance`;
  console.log(`${SHAPES[shape].about}: ${about}`);
  const all = {
    task,
    shape,
    threads,
    count: Number(task === 'pass' ? passesOf(shape) : flags.images),
    steps,
    sizePx: SHAPES[shape].latents * 8,
    checkpoint: await makeCheckpoint(shape),
    tokenizer: await makeTokenizer(),
    prompt: 'a red fox on a hill in the snow, oil painting',
    negativePrompt: 'blurry',
    guidanceScale: 7.5,
  };
  for (const contestant of await contestants(flags.python)) {
    const name = `${contestant.program}, ${contestant.variant}`;
    if (!name.includes(flags.only) || (contestant.task ?? task) !== task) continue;
    const endWatch = watchOthers();
    const report = measure(contestant, all);
    keep({ contestant, task, shape, steps, otherCores: endWatch(), report });
    const result =
      'missing' in report
        ? `missing: ${report.missing}`
        : `${median(report.seconds).toFixed(2)} s (loads in ${report.loadSeconds.toFixed(1)} s)`;
    say(`  ${name}`, result);
  }
}

async function bestGemm(): Promise<number> {
  const gemms = [await gemmFlopsPerSecond(1024, threads), await gemmFlopsPerSecond(2048, threads)];
  say('GEMM 1024³, 2048³ through ONNX Runtime', gemms.map((rate) => `${(rate / 1e9).toFixed(0)} GFLOP/s`).join(', '));
  const best = Math.max(...gemms);
  keepGemm(Math.round(best / 1e9));
  return best;
}

say('machine', `${cpus()[0]?.model ?? ''}, ${threads} threads`);
const best = parts.includes('gemm') ? await bestGemm() : Number.NaN;
if (parts.includes('load'))
  for (const name of shapes)
    measureShape({ name, folder: await makeUnet(name, BENCH_FOLDER), passes: passesOf(name) }, best);
for (const task of ['pass', 'image'] as const)
  for (const shape of shapes) if (parts.includes(task)) await compare(task, shape);
if (parts.includes('demo')) await sayDemo();

async function sayDemo(): Promise<void> {
  const demo = fileURLToPath(new URL('../models/demo', import.meta.url));
  await using model = await loadModel(cpuSettings(demo), FAMILIES);
  const request = {
    prompt: 'a red circle on a white background',
    negativePrompt: '',
    seed: 0,
    numInferenceSteps: 20,
    guidanceScale: 4,
  };
  const resolved = aRequest({ ...request, widthPx: 256, heightPx: 256 });
  const draw = (): Promise<void> => drawImage(model.pipeline, resolved);
  say(
    'demo image, 256×256, 20 steps, guidance 4',
    `${median(await timeRuns(5, draw)).toFixed(2)} s; model loads in ${(model.facts.loadMs / 1000).toFixed(2)} s`,
  );
}
