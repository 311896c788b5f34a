/** A batch that was too large for the memory is remembered by the next process: for this model, compute type and device, for a day. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type TestContext, test } from 'node:test';
import { BatchBudget } from '../../src/engine/batch-budget.ts';
import { isFresh } from '../../src/engine/kept-limits.ts';
import type { ModelFacts } from '../../src/job/model-facts.ts';
import { silentLogger } from '../../src/observability/logger.ts';

const FACTS: ModelFacts = {
  modelName: 'demo',
  modelHash: null,
  pipelineClass: 'StableDiffusionPipeline',
  fields: [],
  defaultWidthPx: 512,
  defaultHeightPx: 512,
  defaults: {},
  maxBatchImages: 8,
  device: 'cuda:0',
  deviceName: 'Tesla T4',
  deviceReason: 'asked for',
  dtype: 'float16',
  loadMs: 1,
  warnings: [],
};
const PIXELS = 512 ** 2;

async function folderOf(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'text2img-limits-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

function budgetOf(folder: string | null, facts: ModelFacts = FACTS): BatchBudget {
  const budget = new BatchBudget(silentLogger, folder);
  budget.remember(facts);
  return budget;
}

/** It is written beside the work. */
async function written(folder: string): Promise<string> {
  for (;;) {
    const [name] = readdirSync(folder).filter((one) => one.endsWith('.json'));
    if (name !== undefined) return join(folder, name);
    await sleep(5);
  }
}

test('the next process begins with what fitted, of every size by its pixels', async (t) => {
  const folder = await folderOf(t);
  assert.equal(budgetOf(folder).halve({ pixels: PIXELS, images: 8 }), true);
  await written(folder);
  const next = budgetOf(folder);
  assert.equal(next.imagesPerPass(FACTS, PIXELS), 4);
  assert.equal(next.imagesPerPass(FACTS, 1024 ** 2), 1);
  assert.equal(next.imagesPerPass(FACTS, 256 ** 2), 8);
});

test('another model, compute type, runtime or GPU has its own', async (t) => {
  const folder = await folderOf(t);
  budgetOf(folder).halve({ pixels: PIXELS, images: 8 });
  await written(folder);
  for (const change of [
    { modelName: 'other' },
    { dtype: 'float32' },
    { runtime: 'onnxruntime' },
    { deviceName: 'NVIDIA H100' },
    { device: 'cuda:1' },
    { vaeName: 'tiny' },
  ] as const)
    assert.equal(budgetOf(folder, { ...FACTS, ...change }).imagesPerPass(FACTS, PIXELS), 8, JSON.stringify(change));
});

test('after a day a larger pass is tried again, because another program may have had the memory', () => {
  const nowMs = 10 ** 12;
  assert.equal(isFresh({ max_pixels: 1, at_ms: nowMs - 1 }, nowMs), true);
  assert.equal(isFresh({ max_pixels: 1, at_ms: nowMs - 25 * 3_600_000 }, nowMs), false);
  assert.equal(isFresh({ max_pixels: 1, at_ms: nowMs + 1 }, nowMs), false, 'a clock that was set back');
});

test('a damaged or old file, and no folder at all, cost nothing', async (t) => {
  const folder = await folderOf(t);
  budgetOf(folder).halve({ pixels: PIXELS, images: 8 });
  const path = await written(folder);
  assert.match(readFileSync(path, 'utf8'), /^\{"max_pixels":1048576,"at_ms":\d+\}$/);
  for (const text of [
    '',
    '{',
    '[]',
    '{"max_pixels":-1,"at_ms":1}',
    '{"max_pixels":1,"at_ms":0}',
    'x'.repeat(100_000),
  ]) {
    writeFileSync(path, text);
    assert.equal(budgetOf(folder).imagesPerPass(FACTS, PIXELS), 8, text.slice(0, 30));
  }
  for (const nowhere of [null, '/proc/nowhere']) {
    const budget = budgetOf(nowhere);
    assert.equal(budget.halve({ pixels: PIXELS, images: 8 }), true);
    assert.equal(budget.imagesPerPass(FACTS, PIXELS), 4);
  }
});
