/** The hash that other tools know a model by. Each expected one was made with `sha256sum <file> | head -c 10`, here by node:crypto. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { getPriority, tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { EngineHost } from '../../../src/engine/engine-host.ts';
import {
  type DigestMemory,
  hashInBackground,
  knownModelHash,
  type LoadedFile,
} from '../../../src/engine/child/model-hash.ts';
import { silentLogger } from '../../../src/observability/logger.ts';
import { identityOf } from '../../../src/runtime/file-digest.ts';
import { INSTANT_SETTINGS } from '../instant-engine.ts';
import { aRequest } from '../../job/a-request.ts';

const demo = fileURLToPath(new URL('../../../models/demo', import.meta.url));
const DEMO_WEIGHTS = join(demo, 'unet', 'diffusion_pytorch_model.safetensors');
const REQUEST = aRequest({
  prompt: 'a blue star',
  negativePrompt: '',
  seed: 1,
  numInferenceSteps: 1,
  guidanceScale: 1,
  widthPx: 64,
  heightPx: 64,
  numImages: 1,
  scheduler: 'DDIMScheduler',
});

function folderOf(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'text2img-hash-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

function sha256(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}

/** Waits for the thread, which keeps no process alive. */
async function hashed(file: LoadedFile, memory: DigestMemory): Promise<string> {
  const waiting = setInterval(() => undefined, 1000);
  try {
    return await new Promise<string>((resolve) => hashInBackground(file, memory, resolve));
  } finally {
    clearInterval(waiting);
  }
}

test('a file of the hub’s cache has its hash in its name, and is not read', async (t) => {
  const blobs = join(folderOf(t), 'blobs');
  mkdirSync(blobs);
  const name = `6ce0161689${'b'.repeat(54)}`;
  writeFileSync(join(blobs, name), 'not what the name says');
  const memory = { folder: null, verify: 'changed' } as const;
  assert.equal(await knownModelHash(new Set([join(blobs, name)]), memory), '6ce0161689');
  // Small files are named by git's own sum, and a folder may be called blobs elsewhere.
  const git = join(blobs, 'a'.repeat(40));
  assert.equal(await knownModelHash(new Set([git]), memory), undefined);
  assert.equal(await knownModelHash(new Set([join(blobs, '..', name)]), memory), undefined);
});

test('weights in several files, or in none, have no hash', async () => {
  const memory = { folder: null, verify: 'changed' } as const;
  const shards = [`/m/blobs/${'a'.repeat(64)}`, `/m/blobs/${'b'.repeat(64)}`];
  assert.equal(await knownModelHash(new Set(shards), memory), null);
  assert.equal(await knownModelHash(new Set(), memory), null);
});

test('another file is hashed once: the next start knows it without reading, until the file changes', async (t) => {
  const folder = folderOf(t);
  const path = join(folder, 'weights.safetensors');
  writeFileSync(path, 'weights');
  const memory = { folder: join(folder, 'cache'), verify: 'changed' } as const;
  const files = new Set([path]);
  assert.equal(await knownModelHash(files, memory), undefined);
  const file = { path, identity: await identityOf(path) };
  assert.equal(await hashed(file, memory), sha256(path).slice(0, 10));
  assert.equal(getPriority(), 0, 'only the thread has another priority');
  assert.equal(await knownModelHash(files, memory), sha256(path).slice(0, 10));
  writeFileSync(path, 'other weights');
  assert.equal(await knownModelHash(files, memory), undefined);
});

test('a file that was replaced since it was loaded gets no hash', async (t) => {
  const folder = folderOf(t);
  const path = join(folder, 'weights.safetensors');
  writeFileSync(path, 'weights');
  const file = { path, identity: await identityOf(path) };
  writeFileSync(path, 'other weights');
  const told: string[] = [];
  hashInBackground(file, { folder: null, verify: 'changed' }, (hash) => told.push(hash));
  // Threads that begin later and hash the same show that there was time enough.
  for (let times = 0; times < 3; times++)
    await hashed({ path, identity: await identityOf(path) }, { folder: null, verify: 'changed' });
  assert.deepEqual(told, []);
});

/** Adds a tensor of 50 MB that no network asks for, so that the file takes a moment to hash. */
function enlarge(path: string): void {
  const bytes = readFileSync(path);
  const headerBytes = Number(bytes.readBigUInt64LE());
  const header = JSON.parse(bytes.subarray(8, 8 + headerBytes).toString());
  const data = bytes.subarray(8 + headerBytes);
  const padding = Buffer.alloc(50_000_000);
  header['padding'] = {
    dtype: 'U8',
    shape: [padding.length],
    data_offsets: [data.length, data.length + padding.length],
  };
  const text = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  writeFileSync(path, Buffer.concat([length, text, data, padding]));
}

test('a small model has its hash from the start, though nothing is remembered', async () => {
  const settings = { ...INSTANT_SETTINGS, checkpointFolder: demo, device: 'cpu', compileCacheFolder: null };
  await using host = new EngineHost({ settings, logger: silentLogger });
  assert.equal((await host.start()).modelHash, sha256(DEMO_WEIGHTS).slice(0, 10));
});

test('the engine says the hash after the first image, and the next engine has it from the start', async (t) => {
  const folder = folderOf(t);
  cpSync(demo, join(folder, 'model'), { recursive: true });
  const weights = join(folder, 'model', 'unet', 'diffusion_pytorch_model.safetensors');
  enlarge(weights);
  const settings = {
    ...INSTANT_SETTINGS,
    checkpointFolder: join(folder, 'model'),
    device: 'cpu',
    compileCacheFolder: join(folder, 'cache'),
  };
  const expected = sha256(weights).slice(0, 10);
  {
    await using host = new EngineHost({ settings, logger: silentLogger });
    assert.equal((await host.start()).modelHash, null);
    await host.generate([{ jobId: 'a', request: REQUEST, images: [] }])[0];
    for (let waits = 0; host.model.modelHash === null && waits < 400; waits++) await sleep(50);
    assert.equal(host.model.modelHash, expected);
  }
  assert.ok(readdirSync(join(folder, 'cache')).includes('weights-digests'));
  await using next = new EngineHost({ settings, logger: silentLogger });
  assert.equal((await next.start()).modelHash, expected);
});
