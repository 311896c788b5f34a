/**
 * `npm run soak`: 1,000 small images in one worker process: mixed sizes, schedulers, guidance and image counts, by turns from two models. It prints the
 * resident memory of both engines and of the worker, and exits with 1 if one of them grew by more than 2 % after the first 300 images.
 * `npm run soak -- --images 600` is shorter. An engine holds one model, so there are two engines.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { EngineHost } from '../src/engine/engine-host.ts';
import { encodePng } from '../src/image/encode-png.ts';
import { silentLogger } from '../src/observability/logger.ts';
import { SHORT_SCHEDULER_NAMES } from '../src/schedulers/scheduler-names.ts';
import { cpuSettings } from '../test/engine/cpu-settings.ts';
import { aRequest } from '../test/job/a-request.ts';
import { median } from './timing.ts';

/** V8 collects the first garbage of an engine's old generation after about 150 images of it. Until then the heap grows. */
const WARM_UP_IMAGES = 300;
/** A median of so many images of a model is compared. */
const COMPARED_IMAGES = 25;
const ALLOWED_GROWTH = 0.02;
const SIZES = [
  [64, 64],
  [128, 64],
  [64, 96],
  [128, 128],
  [32, 64],
] as const;
/** For models that were trained with its noise alone. */
const SCHEDULERS = SHORT_SCHEDULER_NAMES.filter((name) => !name.startsWith('edm_'));

const { values: flags } = parseArgs({ options: { images: { type: 'string', default: '1000' } } });
const images = Number(flags.images);
if (!Number.isInteger(images) || images < 2 * WARM_UP_IMAGES)
  throw new Error(`--images takes a whole number from ${2 * WARM_UP_IMAGES} on, not ${flags.images}`);

const folder = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

/** Resident bytes of a process. */
function residentOf(pid: number): number {
  return 1024 * Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? Number.NaN);
}

function children(): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/status`, 'utf8').includes(`\nPPid:\t${process.pid}\n`);
      } catch {
        return false;
      }
    });
}

interface Watched {
  readonly name: string;
  readonly pid: number;
  /** Resident bytes after each of its images. */
  readonly bytes: number[];
}

interface Engine extends Watched {
  readonly host: EngineHost;
}

async function startEngine(name: string, checkpointFolder: string): Promise<Engine> {
  const before = children();
  const host = new EngineHost({ settings: cpuSettings(checkpointFolder), logger: silentLogger });
  await host.start();
  const pid = children().find((child) => !before.includes(child));
  if (pid === undefined) throw new Error('the engine has no process');
  return { name, pid, bytes: [], host };
}

async function generate({ host }: Engine, index: number): Promise<void> {
  const [widthPx, heightPx] = SIZES[index % SIZES.length] as (typeof SIZES)[number];
  const request = aRequest({
    // More texts would fill the cache of encoded texts, which is bounded and none of what is looked for.
    prompt: `a red circle, number ${index % 16}`,
    negativePrompt: index % 3 === 0 ? 'blurry' : '',
    seed: index,
    // PNDM takes four at least.
    numInferenceSteps: 4 + (index % 3),
    guidanceScale: index % 4 === 0 ? 1 : 4,
    scheduler: SCHEDULERS[index % SCHEDULERS.length] as string,
    widthPx,
    heightPx,
  });
  const result = await host.generate([{ jobId: String(index), request, images: [] }])[0];
  for (const { image } of result?.images ?? []) {
    const { pixels: rgb, ...size } = image;
    await encodePng({ rgb, ...size });
  }
}

/** @returns whether it stayed within what is allowed */
function report({ name, bytes }: Watched): boolean {
  // Half of the images are of each model.
  const warm = median(bytes.slice(WARM_UP_IMAGES / 2 - COMPARED_IMAGES, WARM_UP_IMAGES / 2));
  const end = median(bytes.slice(-COMPARED_IMAGES));
  const growth = end / warm - 1;
  const megabytes = (value: number): string => `${(value / 1e6).toFixed(1)} MB`;
  console.log(
    `${name}: ${megabytes(warm)} after the first ${WARM_UP_IMAGES} images, ${megabytes(end)} at the end: ${(100 * growth).toFixed(2)} %`,
  );
  return growth <= ALLOWED_GROWTH;
}

const engines = [
  await startEngine('engine of the demo checkpoint', folder('../models/demo')),
  await startEngine('engine of a small XL checkpoint', folder('../test/golden/base-xl')),
];
const worker: Watched = { name: 'worker', pid: process.pid, bytes: [] };
for (let index = 0; index < images; index++) {
  const engine = engines[index % engines.length] as Engine;
  await generate(engine, Math.floor(index / engines.length));
  engine.bytes.push(residentOf(engine.pid));
  if (index % engines.length === 0) worker.bytes.push(residentOf(worker.pid));
  if ((index + 1) % 100 === 0)
    console.log(
      `${index + 1} images: ${[...engines, worker].map(({ bytes }) => ((bytes.at(-1) ?? 0) / 1e6).toFixed(0)).join(', ')} MB`,
    );
}
for (const { host } of engines) await host.stop();
process.exitCode = [...engines, worker].map(report).every(Boolean) ? 0 : 1;
