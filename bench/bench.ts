/**
 * `npm run bench`: seconds per UNet pass of the full SD 1.5 shape, as a share of the best matrix product in the same run; load times, memory, the
 * demo picture. `npm run bench -- --python PATH` also times diffusers in that Python, in the same run.
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
import { gemmFlopsPerSecond } from './gemm.ts';
import { makeSd15Unet } from './sd15-unet.ts';
import { median, timeRuns } from './timing.ts';
import { cpuSettings } from '../test/engine/cpu-settings.ts';
import { aRequest } from '../test/job/a-request.ts';

interface PassReport {
  readonly loadSeconds: number;
  readonly residentBytes: number;
  readonly weightBytes: number;
  readonly flops: number;
  readonly graphBytes: number;
  readonly passSeconds: number;
}

const { values: flags } = parseArgs({
  options: { python: { type: 'string' }, passes: { type: 'string', default: '3' } },
});
const place = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'text2img', 'bench');
const cache = join(place, 'compiled');
const threads = availableParallelism();
const here = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

function say(what: string, value: string): void {
  console.log(`${what.padEnd(52)} ${value}`);
}

/** In a process of its own, so that memory and load times are its own. */
function passReport(cacheFolder: string, passes: string): PassReport {
  const args = [here('unet-pass.ts'), unet, cacheFolder, String(threads), passes];
  return JSON.parse(
    execFileSync(process.execPath, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] }),
  ) as PassReport;
}

say('machine', `${cpus()[0]?.model ?? ''}, ${threads} threads`);
const unet = await makeSd15Unet(place);
const gemms = [await gemmFlopsPerSecond(1024, threads), await gemmFlopsPerSecond(2048, threads)];
const best = Math.max(...gemms);
say('GEMM 1024³, 2048³ through ONNX Runtime', gemms.map((rate) => `${(rate / 1e9).toFixed(0)} GFLOP/s`).join(', '));

const plain = passReport('off', flags.passes);
const rate = plain.flops / plain.passSeconds;
say('UNet pass, SD 1.5 at 512×512, batch 1', `${plain.passSeconds.toFixed(2)} s (median of ${flags.passes})`);
say(
  '  arithmetic, counted from the graph',
  `${(plain.flops / 1e12).toFixed(3)} TFLOP, graph ${(plain.graphBytes / 1000).toFixed(0)} kB`,
);
say('  speed, share of the best GEMM', `${(rate / 1e9).toFixed(0)} GFLOP/s, ${((100 * rate) / best).toFixed(0)} %`);
say('  load without compile cache', `${plain.loadSeconds.toFixed(1)} s`);
say('  resident after one pass / weights', `${(plain.residentBytes / plain.weightBytes).toFixed(2)}`);

rmSync(cache, { recursive: true, force: true });
const first = passReport(cache, '0');
const second = passReport(cache, flags.passes);
say('  load that fills the compile cache', `${first.loadSeconds.toFixed(1)} s`);
say('  load with a warm compile cache', `${second.loadSeconds.toFixed(1)} s`);
say(
  '  pass, resident / weights with a warm cache',
  `${second.passSeconds.toFixed(2)} s, ${(second.residentBytes / second.weightBytes).toFixed(2)}`,
);
if (flags.python !== undefined) {
  const seconds = Number(
    execFileSync(flags.python, [here('diffusers-unet-pass.py'), String(threads), flags.passes], { encoding: 'utf8' })
      .trim()
      .split('\n')
      .at(-1),
  );
  say(
    '  the same pass in diffusers on PyTorch, eager',
    `${seconds.toFixed(2)} s; text2img is ${(seconds / Math.min(plain.passSeconds, second.passSeconds)).toFixed(2)} × as fast`,
  );
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
