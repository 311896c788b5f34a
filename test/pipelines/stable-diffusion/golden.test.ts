/**
 * Same request, same seed, same pixels as diffusers: every case of test/golden, drawn through checkpoint, graphs, ONNX Runtime, schedulers and pipeline.
 * The expectations are made by `reference/make_golden_cases.py` (diffusers 0.42.1, torch 2.15, float32 on the CPU).
 */
import assert from 'node:assert/strict';
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { suite, test } from 'node:test';
import { decode } from 'fast-png';
import type { JobImage } from '../../../src/pipelines/active-job.ts';
import { runJobs } from '../../../src/pipelines/run-jobs.ts';
import type { RawImage } from '../../../src/job/raw-image.ts';
import { FAMILIES } from '../../../src/pipelines/registry.ts';
import { loadModel } from '../../../src/engine/child/load-model.ts';
import { DEFAULT_LIMITS } from '../../../src/job/limits.ts';
import { parsePromptDocument } from '../../../src/job/prompt-document.ts';
import { resolveRequest } from '../../../src/job/resolve-request.ts';
import { cpuSettings } from '../../engine/cpu-settings.ts';
import { waitsFor } from './golden-waiting.ts';

const golden = fileURLToPath(new URL('../../golden', import.meta.url));

interface GoldenCase {
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
function assemble(name: string, { base = 'base', remove = [] }: GoldenCase): string {
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

async function draw(
  name: string,
  golden: GoldenCase,
  changes: Readonly<Record<string, unknown>> = {},
): Promise<Drawing> {
  await using model = await loadModel(
    cpuSettings(assemble(name, golden), { threads: 2, vaeTiling: golden.vae_tiling === true }),
    FAMILIES,
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

function readCase(name: string): GoldenCase {
  return JSON.parse(readFileSync(join(golden, name, 'case.json'), 'utf8')) as GoldenCase;
}

function largestDifference(image: RawImage, path: string): number {
  const expected = decode(readFileSync(path));
  assert.deepEqual(
    [image.widthPx, image.heightPx, image.channels],
    [expected.width, expected.height, expected.channels],
  );
  return image.pixels.reduce(
    (largest, value, index) => Math.max(largest, Math.abs(value - (expected.data[index] as number))),
    0,
  );
}

/** A case whose scheduler is not in the registry yet is drawn all the same, and reported as "todo": its failure is told and is no error. */
function waitingFor({ request }: GoldenCase): { readonly todo?: string } {
  const scheduler = waitsFor(request);
  return scheduler === undefined ? {} : { todo: `waits for ${scheduler}` };
}

const names = readdirSync(golden).filter((name) => existsSync(join(golden, name, 'case.json')));

suite('every pixel is within 1/255 of diffusers', () => {
  assert.ok(
    names.length >= 45,
    `test/golden has ${names.length} cases only; run: python reference/make_golden_cases.py`,
  );
  for (const name of names) {
    const golden_ = readCase(name);
    test(`${name}: ${golden_.about}`, waitingFor(golden_), async () => {
      const { images } = await draw(name, golden_);
      assert.equal(images.length, golden_.expected.length);
      for (const [index, { image }] of images.entries()) {
        const file = golden_.expected[index] as string;
        assert.ok(
          largestDifference(image, join(golden, name, file)) <= 1,
          `test/golden/${name}/${file} differs by ${largestDifference(image, join(golden, name, file))}; examples/one-image.ts generates in one process, for a debugger`,
        );
      }
    });
  }
});

test('image 3 of four is bit for bit the picture of its seed alone', async () => {
  const four = readCase('four-images');
  const { images } = await draw('four-images', four);
  const alone = await draw('four-images', four, { num_images: 1, seed: Number(four.request['seed']) + 2 });
  assert.deepEqual(alone.images[0]?.image.pixels, images[2]?.image.pixels);
});

test('what is cut off a long prompt is told', async () => {
  const { warnings } = await draw('long-prompt', readCase('long-prompt'));
  assert.equal(warnings.length, 1);
  assert.match(warnings[0] ?? '', /at most 77 tokens; left out: ".*and the end that is cut/);
});
