/** The cases of test/golden: drawn in one process, on a runtime of the test's choice, and compared with the images of diffusers. */
import assert from 'node:assert/strict';
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { decode } from 'fast-png';
import type { JobImage } from '../../../src/pipelines/active-job.ts';
import { runJobs } from '../../../src/pipelines/run-jobs.ts';
import type { RawImage } from '../../../src/job/raw-image.ts';
import { FAMILIES } from '../../../src/pipelines/registry.ts';
import { loadModel } from '../../../src/engine/child/load-model.ts';
import { DEFAULT_LIMITS } from '../../../src/job/limits.ts';
import { parsePromptDocument } from '../../../src/job/prompt-document.ts';
import { resolveRequest } from '../../../src/job/resolve-request.ts';
import type { EngineSettings } from '../../../src/engine/protocol.ts';
import type { Runtime } from '../../../src/runtime/contract.ts';
import { RUNTIMES } from '../../../src/runtime/registry.ts';
import { cpuSettings } from '../../engine/cpu-settings.ts';

const golden = fileURLToPath(new URL('../../golden', import.meta.url));

export interface GoldenCase {
  readonly about: string;
  /** The folder of the checkpoint that the case changes: `base` where it is absent. */
  readonly base?: string;
  readonly request: Readonly<Record<string, unknown>>;
  readonly expected: readonly string[];
  /** Files of the base that the case's checkpoint lacks. */
  readonly remove?: readonly string[];
  readonly vae_tiling?: boolean;
}

/** The base checkpoint with the case's own files over it. */
export function assemble(name: string, { base = 'base', remove = [] }: GoldenCase): string {
  const folder = mkdtempSync(join(tmpdir(), 'text2img-golden-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  cpSync(join(golden, base), folder, { recursive: true });
  for (const file of remove) rmSync(join(folder, file));
  const overlay = join(golden, name, 'checkpoint');
  if (existsSync(overlay)) cpSync(overlay, folder, { recursive: true });
  return folder;
}

interface Drawing {
  readonly images: readonly JobImage[];
  readonly warnings: readonly string[];
}

interface DrawOptions {
  /** Of the case's request. */
  readonly changes?: Readonly<Record<string, unknown>>;
  readonly runtime?: Runtime;
  /** Of the engine. */
  readonly settings?: Partial<EngineSettings>;
}

export async function drawCase(
  name: string,
  { changes = {}, runtime = RUNTIMES[0], settings = {} }: DrawOptions = {},
): Promise<Drawing> {
  const golden = readCase(name);
  await using model = await loadModel(
    cpuSettings(assemble(name, golden), { threads: 2, vaeTiling: golden.vae_tiling === true, ...settings }),
    FAMILIES,
    [runtime],
  );
  const { request } = parsePromptDocument({ ...golden.request, ...changes }, DEFAULT_LIMITS);
  const resolved = resolveRequest(request, { defaults: {}, model: model.facts, limits: DEFAULT_LIMITS, seed: 0 });
  const images: JobImage[] = [];
  let warnings: readonly string[] | undefined;
  const job = { jobId: name, request: resolved, images: [], signal: new AbortController().signal };
  await runJobs(model.pipeline, [job], {
    maxBatchImages: model.facts.maxBatchImages,
    yieldToEventLoop: () => Promise.resolve(),
    observer: {
      onProgress: () => undefined,
      onImage: (_, image) => images.push(image),
      onDone: (_, told) => {
        warnings = told;
      },
      onFailed: (_, error) => {
        throw error;
      },
    },
  });
  assert.ok(warnings !== undefined, 'the job is done');
  return { images, warnings };
}

export function readCase(name: string): GoldenCase {
  return JSON.parse(readFileSync(join(golden, name, 'case.json'), 'utf8')) as GoldenCase;
}

/** The largest difference of a pixel's number from the expected image. @param index of the image in its case */
export function largestDifference(name: string, index: number, image: RawImage): number {
  const file = readCase(name).expected[index] as string;
  const expected = decode(readFileSync(join(golden, name, file)));
  assert.deepEqual(
    [image.widthPx, image.heightPx, image.channels],
    [expected.width, expected.height, expected.channels],
  );
  return image.pixels.reduce(
    (largest, value, index) => Math.max(largest, Math.abs(value - (expected.data[index] as number))),
    0,
  );
}

export const CASE_NAMES: readonly string[] = readdirSync(golden).filter((name) =>
  existsSync(join(golden, name, 'case.json')),
);
