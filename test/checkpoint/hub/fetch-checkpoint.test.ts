/** Fetching models from a hub that is slow, broken, gated or not there, into the cache that Python's client shares. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, lstatSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { promisify } from 'node:util';
import { setTimeout as sleep } from 'node:timers/promises';
import { test } from 'node:test';
import { fetchCheckpoint, type FetchCheckpointOptions } from '../../../src/checkpoint/hub/fetch-checkpoint.ts';
import { HubCache } from '../../../src/checkpoint/hub/hub-cache.ts';
import { parseHubId } from '../../../src/checkpoint/hub/hub-id.ts';
import { openKnown } from '../open-known.ts';
import { withFileLock } from '../../../src/lib/file-lock.ts';
import { silentLogger } from '../../../src/observability/logger.ts';
import { DEMO, demoFiles, failsWith, HUB_ID, makePlace, type Place, UNET } from './hub-place.ts';
import { blobName, COMMIT, type HubFault, TOKEN } from '../../servers/hub-server.ts';

test('a pull brings what is needed and nothing else, in Python’s layout, and the checkpoint opens', async (t) => {
  const { hub, cacheFolder, options } = await makePlace(t);
  const progress: number[] = [];
  const folder = await fetchCheckpoint(HUB_ID, {
    ...options,
    onProgress: (done, total) => progress.push(done / total),
  });
  assert.equal(relative(cacheFolder, folder), join('models--owner--demo', 'snapshots', COMMIT));
  assert.equal(readFileSync(join(cacheFolder, 'models--owner--demo/refs/main'), 'utf8'), COMMIT);
  const unet = readFileSync(join(DEMO, UNET));
  assert.equal(readlinkSync(join(folder, UNET)), join('..', '..', '..', 'blobs', blobName(UNET, unet)));
  for (const name of [
    'v1-5-pruned.safetensors',
    'unet/diffusion_pytorch_model.bin',
    'safety_checker',
    'unet/diffusion_pytorch_model.non_ema.safetensors',
  ])
    assert.ok(!existsSync(join(folder, name)), name);
  assert.equal((await openKnown(folder)).index.pipelineClass, 'StableDiffusionPipeline');
  assert.deepEqual([progress.at(-1), progress.toSorted((a, b) => a - b)], [1, progress]);
  const count = hub.downloads.length;
  await fetchCheckpoint(HUB_ID, { ...options, onProgress: () => assert.fail('there is no download to show') });
  assert.equal(hub.downloads.length, count, 'the second time nothing is fetched');
});

test('after a break only the rest is asked for', async (t) => {
  const { hub, options } = await makePlace(t);
  const faults: (HubFault | undefined)[] = [
    { kind: 'drop', afterBytes: 1000 },
    { kind: 'truncate', afterBytes: 5000 },
  ];
  hub.fault = (name, { server }) => (name === UNET && server === 'cdn' ? faults.shift() : undefined);
  const folder = await fetchCheckpoint(HUB_ID, options);
  assert.ok(readFileSync(join(folder, UNET)).equals(readFileSync(join(DEMO, UNET))));
  const ranges = hub.downloads
    .filter(({ server, path }) => server === 'cdn' && path.endsWith(UNET))
    .map(({ headers }) => headers.range);
  assert.deepEqual(ranges, [undefined, 'bytes=1000-', 'bytes=6000-']);
});

test('a pull that was killed goes on where it stopped', async (t) => {
  const { hub, cacheFolder, options } = await makePlace(t);
  const unet = readFileSync(join(DEMO, UNET));
  await fetchCheckpoint(HUB_ID, options);
  const blob = new HubCache(cacheFolder).blobPath('owner/demo', blobName(UNET, unet));
  writeFileSync(`${blob}.text2img-incomplete`, unet.subarray(0, 4096));
  // A lock of a process that is no more.
  writeFileSync(`${blob}.text2img-lock`, '999999999-x');
  rmSync(blob);
  const before = hub.downloads.length;
  await fetchCheckpoint(HUB_ID, options);
  assert.deepEqual(
    hub.downloads.slice(before).map(({ headers }) => headers.range),
    ['bytes=4096-', 'bytes=4096-'],
    'of the hub and of where it sends us',
  );
});

test('a lock that another container left is taken over when nobody touches it, though its process number lives here', async (t) => {
  const { cacheFolder } = await makePlace(t);
  const path = join(cacheFolder, 'lock');
  writeFileSync(path, `${process.pid}-x@another-container`);
  const startedMs = performance.now();
  await withFileLock(path, async () => undefined, { patienceMs: 20_000, staleMs: 600 });
  assert.ok(performance.now() - startedMs < 15_000);
  assert.ok(!existsSync(path));
  // One that is touched is waited for.
  const order: string[] = [];
  const first = withFileLock(path, () => sleep(1500).then(() => order.push('first')), { staleMs: 600 });
  await sleep(100);
  await withFileLock(path, async () => order.push('second'), { staleMs: 600 });
  await first;
  assert.deepEqual(order, ['first', 'second']);
});

test('a server that gives the whole where a part was asked for is understood', async (t) => {
  const { hub, options } = await makePlace(t);
  const faults: HubFault[] = [{ kind: 'drop', afterBytes: 1000 }, { kind: 'ignore-range' }];
  hub.fault = (name, { server }) => (name === UNET && server === 'cdn' ? faults.shift() : undefined);
  const folder = await fetchCheckpoint(HUB_ID, options);
  assert.ok(readFileSync(join(folder, UNET)).equals(readFileSync(join(DEMO, UNET))));
});

test('wrong bytes are thrown away and fetched once more; wrong again, and nothing of them is kept', async (t) => {
  const { hub, cacheFolder, options } = await makePlace(t);
  let corrupt = 1;
  hub.fault = (name, { server }) =>
    name === UNET && server === 'cdn' && corrupt-- > 0 ? { kind: 'corrupt' } : undefined;
  await fetchCheckpoint(HUB_ID, options);
  rmSync(cacheFolder, { recursive: true });
  corrupt = Infinity;
  await assert.rejects(fetchCheckpoint(HUB_ID, options), failsWith('download_failed', UNET, 'checksum'));
  const blobs = readdirSync(join(cacheFolder, 'models--owner--demo/blobs'));
  assert.ok(
    !blobs.some((name) => name.includes('incomplete') || name === blobName(UNET, readFileSync(join(DEMO, UNET)))),
    blobs.join(),
  );
  assert.ok(!existsSync(join(cacheFolder, 'models--owner--demo/refs/main')));
});

test('a server that is busy is asked again; one that stays so is given up with its answer', async (t) => {
  const { hub, options } = await makePlace(t);
  const faults: HubFault[] = [
    { kind: 'status', status: 503 },
    { kind: 'status', status: 429, retryAfter: '0' },
    { kind: 'status', status: 500 },
  ];
  hub.fault = () => faults.shift();
  await fetchCheckpoint(HUB_ID, options);
  hub.repositories.set('owner/other', { files: demoFiles().set('README.md', Buffer.from('new')) });
  hub.fault = () => ({ kind: 'status', status: 503 });
  await assert.rejects(
    fetchCheckpoint({ id: 'owner/other', revision: 'main' }, options),
    failsWith('download_failed', '503'),
  );
});

test('redirects without end are refused', async (t) => {
  const { hub, options } = await makePlace(t);
  hub.fault = () => ({ kind: 'redirect-loop' });
  await assert.rejects(fetchCheckpoint(HUB_ID, options), failsWith('download_failed', 'redirected more than'));
});

test('what may not be had is named with what to do', async (t) => {
  const { hub, options } = await makePlace(t);
  hub.repositories.set('owner/gated', { files: demoFiles(), access: 'gated' });
  hub.repositories.set('owner/private', { files: demoFiles(), access: 'private' });
  hub.repositories.set('owner/pickle', {
    files: new Map([
      ['model_index.json', demoFiles().get('model_index.json') as Buffer],
      ['text_encoder/model.safetensors', Buffer.from('x')],
      ['unet/diffusion_pytorch_model.bin', Buffer.from('x')],
    ]),
  });
  hub.repositories.set('owner/single', { files: new Map([['model.ckpt', Buffer.from('x')]]) });
  const pull = (id: string, revision = 'main', changes: Partial<FetchCheckpointOptions> = {}): Promise<string> =>
    fetchCheckpoint({ id, revision }, { ...options, ...changes });
  await assert.rejects(pull('owner/gated'), failsWith('model_gated', 'owner/gated', 'HF_TOKEN'));
  await assert.rejects(pull('owner/private'), failsWith('model_not_found', 'owner/private', 'HF_TOKEN'));
  await assert.rejects(pull('owner/nothing'), failsWith('model_not_found', 'owner/nothing'));
  await assert.rejects(pull('owner/demo', 'no-such-branch'), failsWith('model_not_found', 'no-such-branch'));
  await assert.rejects(pull('owner/pickle'), failsWith('unsafe_weights', 'unet/diffusion_pytorch_model.bin'));
  await assert.rejects(pull('owner/single'), failsWith('invalid_model_index', 'owner/single'));
  const access = { endpoint: hub.url, token: TOKEN };
  for (const id of ['owner/gated', 'owner/private']) await pull(id, 'main', { access });
  for (const { server, headers } of hub.requests)
    if (server === 'cdn') assert.equal(headers.authorization, undefined, 'the token stays with the hub');
});

test('a pinned revision is taken as it is; a commit needs no reference', async (t) => {
  const { cacheFolder, options } = await makePlace(t);
  await fetchCheckpoint({ id: 'owner/demo', revision: 'v1' }, options);
  await fetchCheckpoint({ id: 'owner/demo', revision: COMMIT }, options);
  assert.deepEqual(readdirSync(join(cacheFolder, 'models--owner--demo/refs')), ['v1']);
});

test('offline nobody is asked; without the network the cache serves, with a warning', async (t) => {
  const { hub, cacheFolder, options } = await makePlace(t);
  const offline = { ...options, offline: true };
  await assert.rejects(fetchCheckpoint(HUB_ID, offline), failsWith('model_not_found', 'owner/demo', cacheFolder));
  const folder = await fetchCheckpoint(HUB_ID, options);
  const before = hub.requests.length;
  assert.equal(await fetchCheckpoint(HUB_ID, offline), folder);
  assert.equal(hub.requests.length, before);
  await hub[Symbol.asyncDispose]();
  const warnings: string[] = [];
  const logger = { ...silentLogger, warning: (message: string) => void warnings.push(message) };
  assert.equal(await fetchCheckpoint(HUB_ID, { ...options, logger }), folder);
  assert.equal(warnings.length, 1);
  await assert.rejects(
    fetchCheckpoint({ id: 'owner/other', revision: 'main' }, options),
    failsWith('download_failed', options.access.endpoint),
  );
});

test('a variant that was asked for is fetched, shards and all; for a network that has none of it the plain files are', async (t) => {
  const { hub, options } = await makePlace(t);
  const files = demoFiles();
  const unet = files.get(UNET) as Buffer;
  files.set('unet/diffusion_pytorch_model.fp16.safetensors.index.json', Buffer.from('{"weight_map":{}}'));
  files.set('unet/diffusion_pytorch_model.fp16-00001-of-00002.safetensors', unet);
  files.set('unet/diffusion_pytorch_model.fp16-00002-of-00002.safetensors', Buffer.from('2'));
  files.set('vae/diffusion_pytorch_model.fp16.safetensors', Buffer.from('half'));
  hub.repositories.set('owner/halves', { files });
  const folder = await fetchCheckpoint({ id: 'owner/halves', revision: 'main' }, { ...options, variant: 'fp16' });
  const weights = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.includes('.safetensors'),
  );
  assert.deepEqual(weights.toSorted(), [
    'text_encoder/model.safetensors',
    'unet/diffusion_pytorch_model.fp16-00001-of-00002.safetensors',
    'unet/diffusion_pytorch_model.fp16-00002-of-00002.safetensors',
    'unet/diffusion_pytorch_model.fp16.safetensors.index.json',
    'vae/diffusion_pytorch_model.fp16.safetensors',
  ]);
});

test('a variant that no network of the repository has is refused before anything but the index is fetched', async (t) => {
  const { hub, options } = await makePlace(t);
  const wanted = { ...options, variant: 'bf16' };
  await assert.rejects(fetchCheckpoint(HUB_ID, wanted), {
    code: 'model_not_found',
    message: /no weights of the variant "bf16"/,
  });
  assert.ok(hub.downloads.length > 0 && hub.downloads.every(({ path }) => path.endsWith('/model_index.json')));
  // Nor does what lies in the cache without it stand for it.
  await fetchCheckpoint(HUB_ID, options);
  await assert.rejects(fetchCheckpoint(HUB_ID, wanted), { code: 'model_not_found', message: /variant "bf16"/ });
});

test('a repository of another pipeline is refused before its gigabytes are fetched', async (t) => {
  const { hub, options } = await makePlace(t);
  const index = { _class_name: 'FluxPipeline', vae: ['diffusers', 'AutoencoderKL'] };
  const files = demoFiles().set('model_index.json', Buffer.from(JSON.stringify(index)));
  hub.repositories.set('owner/other', { files });
  const pull = fetchCheckpoint({ id: 'owner/other', revision: 'main' }, options);
  await assert.rejects(pull, failsWith('unsupported_class', 'owner/other', 'FluxPipeline', 'StableDiffusionPipeline'));
  assert.ok(hub.downloads.every(({ path }) => path.endsWith('/model_index.json')));
});

test('what the cache has of another pipeline is given as it is: opening says what is wrong, and fetching would not mend it', async (t) => {
  const { hub, options } = await makePlace(t);
  const folder = await fetchCheckpoint(HUB_ID, options);
  const index = join(folder, 'model_index.json');
  rmSync(index);
  writeFileSync(index, JSON.stringify({ _class_name: 'FluxPipeline' }));
  const before = hub.requests.length;
  assert.equal(await fetchCheckpoint(HUB_ID, { ...options, offline: true }), folder);
  assert.equal(hub.requests.length, before);
  await assert.rejects(openKnown(folder), failsWith('unsupported_class', 'FluxPipeline'));
  rmSync(index);
  const offline = fetchCheckpoint(HUB_ID, { ...options, offline: true });
  await assert.rejects(offline, failsWith('model_not_found', 'model_index.json is missing'));
});

test('of several variants without plain weights, one must be named: in the hub’s list as in a folder', async (t) => {
  const { hub, options } = await makePlace(t);
  const files = demoFiles();
  const unet = files.get(UNET) as Buffer;
  for (const name of files.keys()) if (name.startsWith('unet/diffusion_pytorch_model')) files.delete(name);
  for (const variant of ['non_ema', 'fp16']) files.set(`unet/diffusion_pytorch_model.${variant}.safetensors`, unet);
  hub.repositories.set('owner/two', { files });
  const id = { id: 'owner/two', revision: 'main' };
  await assert.rejects(fetchCheckpoint(id, options), failsWith('model_not_found', 'several variants', '--variant'));
  await openKnown(await fetchCheckpoint(id, { ...options, variant: 'fp16' }), { variant: 'fp16' });
});

test('of an index and a whole file side by side, what is fetched is what will be drawn with', async (t) => {
  const { hub, options } = await makePlace(t);
  const files = demoFiles();
  for (const base of ['unet/diffusion_pytorch_model', 'text_encoder/model']) {
    files.set(`${base}.safetensors.index.json`, Buffer.from('{"weight_map":{}}'));
    files.set(`${base}-00001-of-00001.safetensors`, Buffer.from('shard'));
  }
  hub.repositories.set('owner/both', { files });
  const folder = await fetchCheckpoint({ id: 'owner/both', revision: 'main' }, options);
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) =>
    /^(unet|text).*safetensors/.test(name),
  );
  assert.deepEqual(names.toSorted(), [
    'text_encoder/model.safetensors',
    'unet/diffusion_pytorch_model-00001-of-00001.safetensors',
    'unet/diffusion_pytorch_model.safetensors.index.json',
  ]);
});

test('several that pull at once fetch every file once', async (t) => {
  const { hub, options } = await makePlace(t);
  await Promise.all(Array.from({ length: 4 }, () => fetchCheckpoint(HUB_ID, options)));
  const unets = hub.downloads.filter(({ server, path }) => server === 'cdn' && path.endsWith(UNET));
  assert.equal(unets.length, 1);
});

test('an id may be pinned, has its new place where it moved, and is no path', () => {
  assert.deepEqual(parseHubId('runwayml/stable-diffusion-v1-5'), {
    id: 'stable-diffusion-v1-5/stable-diffusion-v1-5',
    revision: 'main',
  });
  assert.deepEqual(parseHubId('a/b@v1.0'), { id: 'a/b', revision: 'v1.0' });
  for (const text of ['a', './a/b', '../a', 'a/b/c', '/a/b', 'a/b@', 'a/../b', 'a b/c'])
    assert.equal(parseHubId(text), undefined, text);
});

const python = process.env['TEXT2IMG_TEST_PYTHON'];
const needsPython =
  python === undefined || python === ''
    ? {
        skip: 'NOT RUN: set TEXT2IMG_TEST_PYTHON to a Python with huggingface_hub; that both clients read one cache was not tested.',
      }
    : {};

/** What the script prints, with the hub's variables set. Not synchronous: the hub that it asks is in this process. */
async function runPython(script: string, { hub, cacheFolder }: Pick<Place, 'hub' | 'cacheFolder'>): Promise<string> {
  const env = {
    ...process.env,
    HF_ENDPOINT: hub.url,
    HF_HUB_CACHE: cacheFolder,
    HF_HUB_DISABLE_TELEMETRY: '1',
    HF_HUB_DISABLE_XET: '1',
  };
  const { stdout } = await promisify(execFile)(python as string, ['-c', script], { env, timeout: 60_000 });
  return stdout.trim();
}

test('Python’s client reads what we fetched: scan_cache_dir, and snapshot_download offline', needsPython, async (t) => {
  const { hub, cacheFolder, options } = await makePlace(t);
  const folder = await fetchCheckpoint(HUB_ID, options);
  // A pair that Python cannot keep; what we keep of it beside its own files does not disturb it.
  hub.branches = new Set(['main', 'v1', 'v1/a']);
  for (const revision of ['v1', 'v1/a']) await fetchCheckpoint({ id: 'owner/demo', revision }, options);
  const scanned = await runPython(
    `
import json, os
from huggingface_hub import scan_cache_dir
info = scan_cache_dir(os.environ['HF_HUB_CACHE'])
assert not info.warnings, info.warnings
repo = next(iter(info.repos)); revision = next(iter(repo.revisions))
print(json.dumps([repo.repo_id, revision.commit_hash, sorted(revision.refs), len(revision.files)]))`,
    { hub, cacheFolder },
  );
  const fileCount = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) =>
    lstatSync(join(folder, name)).isSymbolicLink(),
  ).length;
  assert.deepEqual(JSON.parse(scanned), ['owner/demo', COMMIT, ['main', 'v1'], fileCount]);
  const found = await runPython(
    "from huggingface_hub import snapshot_download\nprint(snapshot_download('owner/demo', local_files_only=True))",
    { hub, cacheFolder },
  );
  assert.equal(found, folder);
});

test('we read what Python’s client fetched, and fetch nothing again', needsPython, async (t) => {
  const { hub, cacheFolder, options } = await makePlace(t);
  const theirs = await runPython(
    "from huggingface_hub import snapshot_download\nprint(snapshot_download('owner/demo'))",
    {
      hub,
      cacheFolder,
    },
  );
  const before = hub.downloads.length;
  assert.equal(await fetchCheckpoint(HUB_ID, options), theirs);
  assert.equal(hub.downloads.length, before);
  assert.equal(await fetchCheckpoint(HUB_ID, { ...options, offline: true }), theirs);
  await openKnown(theirs);
});
