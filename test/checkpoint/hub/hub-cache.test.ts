/** A cache that is damaged, half there, shared with others, or may only be read. */
import assert from 'node:assert/strict';
import {
  chmodSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fetchCheckpoint } from '../../../src/checkpoint/hub/fetch-checkpoint.ts';
import { HubCache } from '../../../src/checkpoint/hub/hub-cache.ts';
import { parseHubId } from '../../../src/checkpoint/hub/hub-id.ts';
import { silentLogger } from '../../../src/observability/logger.ts';
import { blobName, COMMIT } from '../../servers/hub-server.ts';
import { DEMO, failsWith, HUB_ID, makePlace, UNET } from './hub-place.ts';

const MERGES = 'tokenizer/merges.txt';
const REPO = 'models--owner--demo';

function blobPathOf(cacheFolder: string, name: string): string {
  return join(cacheFolder, REPO, 'blobs', blobName(name, readFileSync(join(DEMO, name))));
}

/** Every file and link below, with its mode's type bits and when it was changed. */
function listing(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((name) => {
      const { mode, mtimeMs } = lstatSync(join(folder, name));
      return `${name} ${mode} ${mtimeMs}`;
    })
    .toSorted();
}

test('a blob that was cut is fetched again, at a start too', async (t) => {
  const { cacheFolder, options } = await makePlace(t);
  await fetchCheckpoint(HUB_ID, options);
  const blob = blobPathOf(cacheFolder, UNET);
  const whole = readFileSync(blob);
  for (const bytes of [whole.subarray(0, 100), Buffer.alloc(0), Buffer.concat([whole, Buffer.from('x')])]) {
    writeFileSync(blob, bytes);
    await fetchCheckpoint(HUB_ID, options);
    assert.ok(readFileSync(blob).equals(whole));
  }
});

test('a blob of the right size with other bytes is found when the model is asked for, small ones also at a start', async (t) => {
  const { hub, cacheFolder, options } = await makePlace(t);
  await fetchCheckpoint(HUB_ID, options);
  for (const [name, check] of [
    [UNET, 'digest'],
    [MERGES, 'size'],
  ] as const) {
    const blob = blobPathOf(cacheFolder, name);
    const whole = readFileSync(blob);
    writeFileSync(blob, Buffer.alloc(whole.length));
    await fetchCheckpoint(HUB_ID, { ...options, check });
    assert.ok(readFileSync(blob).equals(whole), name);
  }
  const before = hub.downloads.length;
  await fetchCheckpoint(HUB_ID, { ...options, check: 'digest' });
  assert.equal(hub.downloads.length, before);
});

test('a damaged blob that cannot be fetched again is an error, though the cache has the revision', async (t) => {
  const { hub, cacheFolder, options } = await makePlace(t);
  await fetchCheckpoint(HUB_ID, options);
  const blob = blobPathOf(cacheFolder, UNET);
  writeFileSync(blob, readFileSync(blob).subarray(0, 5));
  hub.fault = () => ({ kind: 'status', status: 503 });
  await assert.rejects(fetchCheckpoint(HUB_ID, options), failsWith('download_failed', '503'));
});

test('a snapshot that is not whole is said to be so offline, by branch and by commit, with the file and what to do', async (t) => {
  const { hub, options } = await makePlace(t);
  const snapshot = await fetchCheckpoint(HUB_ID, options);
  const offline = { ...options, offline: true };
  const gone = [
    'model_index.json',
    'scheduler/scheduler_config.json',
    'text_encoder/config.json',
    'vae/config.json',
    UNET,
  ];
  for (const name of gone) {
    const path = join(snapshot, name);
    // A link whose blob is gone is no file either.
    rmSync(name === UNET ? realpathSync(path) : path);
    for (const revision of ['main', COMMIT])
      await assert.rejects(
        fetchCheckpoint({ id: 'owner/demo', revision }, offline),
        failsWith('model_not_found', 'not whole', 'models pull', name.split('/')[0] as string),
      );
    await fetchCheckpoint(HUB_ID, options);
    assert.equal(await fetchCheckpoint({ id: 'owner/demo', revision: COMMIT }, offline), snapshot);
  }
  // Either form of the tokenizer will do; without both there is none.
  rmSync(join(snapshot, MERGES));
  assert.equal(await fetchCheckpoint(HUB_ID, offline), snapshot);
  rmSync(join(snapshot, 'tokenizer/tokenizer.json'));
  await assert.rejects(fetchCheckpoint(HUB_ID, offline), failsWith('model_not_found', 'not whole', 'tokenizer'));
  await hub[Symbol.asyncDispose]();
  await assert.rejects(
    fetchCheckpoint(HUB_ID, options),
    failsWith('download_failed'),
    'nor is it taken when the hub is away',
  );
});

test('a shard that is missing is missed offline', async (t) => {
  const { hub, options } = await makePlace(t);
  const files = new Map(hub.repositories.get('owner/demo')?.files);
  const unet = files.get(UNET) as Buffer;
  files.delete(UNET);
  files.delete('unet/diffusion_pytorch_model.non_ema.safetensors');
  files.set('unet/diffusion_pytorch_model.safetensors.index.json', Buffer.from('{"weight_map":{}}'));
  for (const shard of [1, 2, 3])
    files.set(
      `unet/diffusion_pytorch_model-0000${shard}-of-00003.safetensors`,
      Buffer.concat([unet, Buffer.from([shard])]),
    );
  hub.repositories.set('owner/shards', { files });
  const id = { id: 'owner/shards', revision: 'main' };
  const snapshot = await fetchCheckpoint(id, options);
  assert.equal(await fetchCheckpoint(id, { ...options, offline: true }), snapshot);
  rmSync(join(snapshot, 'unet/diffusion_pytorch_model-00002-of-00003.safetensors'));
  await assert.rejects(
    fetchCheckpoint(id, { ...options, offline: true }),
    failsWith('model_not_found', 'unet/diffusion_pytorch_model-00002-of-00003.safetensors is missing'),
  );
});

const LONG = `feature/${'long-'.repeat(60)}end`;
const PAIRS: readonly (readonly string[])[] = [
  ['team', 'team/one', 'team/one/two'],
  ['x/y/z', 'x/y', 'x'],
  [LONG, `${LONG}/more`],
];

for (const branches of PAIRS) {
  test(`branches whose names stand in each other’s way are kept side by side: ${branches.map((name) => name.slice(0, 20)).join(', ')}`, async (t) => {
    const { hub, cacheFolder, options } = await makePlace(t);
    hub.branches = new Set(branches);
    let commit = 10;
    const at = new Map<string, string>();
    for (const revision of [...branches, ...branches]) {
      hub.commit = String(commit++).padStart(40, '0');
      at.set(revision, hub.commit);
      await fetchCheckpoint({ id: 'owner/demo', revision }, options);
    }
    const cache = new HubCache(cacheFolder);
    for (const [revision, wanted] of at) {
      const id = { id: 'owner/demo', revision };
      assert.equal(await cache.readRef(id), wanted, revision);
      assert.ok((await fetchCheckpoint(id, { ...options, offline: true })).endsWith(wanted));
    }
    const listed = new Map(
      (await cache.list()).flatMap(({ refs, commit: of }) => refs.map((ref) => [ref, of] as const)),
    );
    assert.deepEqual(Object.fromEntries(listed), Object.fromEntries(at));
    assert.deepEqual(
      readdirSync(join(cacheFolder, REPO)).filter((name) => /^\.text2img-\d/.test(name)),
      [],
      'no drafts are left',
    );
  });
}

test('a reference that is no commit leads nowhere, least of all out of the cache', async (t) => {
  const { hub, cacheFolder, options } = await makePlace(t);
  const snapshot = await fetchCheckpoint(HUB_ID, options);
  const ref = join(cacheFolder, REPO, 'refs/main');
  for (const text of [
    '../../../other',
    '../../..',
    '/etc',
    COMMIT.toUpperCase(),
    COMMIT.slice(1),
    `${COMMIT}0`,
    '',
    '\0'.repeat(40),
  ]) {
    writeFileSync(ref, text);
    assert.equal(await new HubCache(cacheFolder).readRef(HUB_ID), undefined, JSON.stringify(text));
    await assert.rejects(
      fetchCheckpoint(HUB_ID, { ...options, offline: true }),
      failsWith('model_not_found', 'not in the cache'),
    );
  }
  assert.equal(await fetchCheckpoint(HUB_ID, options), snapshot);
  assert.equal(readFileSync(ref, 'utf8'), COMMIT, 'it is put right');
  // As git and other tools write it.
  writeFileSync(ref, `${COMMIT}\n`);
  await hub[Symbol.asyncDispose]();
  assert.equal(await fetchCheckpoint(HUB_ID, { ...options, offline: true }), snapshot);
});

test('a whole model is used without a write: nothing in the cache is touched', async (t) => {
  const { cacheFolder, options } = await makePlace(t);
  await fetchCheckpoint(HUB_ID, options);
  const before = listing(cacheFolder);
  await fetchCheckpoint(HUB_ID, options);
  await fetchCheckpoint(HUB_ID, { ...options, check: 'digest' });
  await fetchCheckpoint({ id: 'owner/demo', revision: COMMIT }, options);
  assert.deepEqual(listing(cacheFolder), before);
});

test('files that lead to their blobs in another way are left as they are', async (t) => {
  const { cacheFolder, options } = await makePlace(t);
  const snapshot = await fetchCheckpoint(HUB_ID, options);
  const [hard, absolute] = [join(snapshot, UNET), join(snapshot, MERGES)];
  unlinkSync(hard);
  linkSync(blobPathOf(cacheFolder, UNET), hard);
  unlinkSync(absolute);
  symlinkSync(blobPathOf(cacheFolder, MERGES), absolute);
  const before = listing(cacheFolder);
  await fetchCheckpoint(HUB_ID, options);
  assert.deepEqual(listing(cacheFolder), before);
});

test('where a file stands in the place of a folder the cache is told to be unwritable, before gigabytes are fetched', async (t) => {
  for (const part of ['refs', 'snapshots', 'blobs', '']) {
    const { hub, cacheFolder, options } = await makePlace(t);
    mkdirSync(dirname(join(cacheFolder, REPO, part)), { recursive: true });
    writeFileSync(join(cacheFolder, REPO, part), '');
    await assert.rejects(fetchCheckpoint(HUB_ID, options), failsWith('store_unwritable', 'HF_HOME'), part);
    assert.ok(hub.downloads.length <= 2, `${part}: ${hub.downloads.length} downloads`);
  }
});

/** Does it as a user who owns nothing: no mode stops root. */
async function asNobody(action: () => Promise<void>): Promise<void> {
  if (process.geteuid?.() !== 0) return action();
  process.seteuid?.(54_321);
  return action().finally(() => process.seteuid?.(0));
}

test('a cache that may only be read: a whole model is used, by a new name too, with a warning; what is not whole is refused', async (t) => {
  const { hub, cacheFolder, options } = await makePlace(t);
  const snapshot = await fetchCheckpoint(HUB_ID, options);
  const folders = readdirSync(cacheFolder, { recursive: true, encoding: 'utf8', withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name));
  const setMode = (mode: number): void => {
    for (const folder of [cacheFolder, ...folders]) chmodSync(folder, mode);
  };
  setMode(0o555);
  const warnings: string[] = [];
  const logger = { ...silentLogger, warning: (message: string) => void warnings.push(message) };
  await asNobody(async () => {
    assert.equal(await fetchCheckpoint(HUB_ID, { ...options, logger }), snapshot);
    assert.deepEqual(warnings, []);
    assert.equal(await fetchCheckpoint({ id: 'owner/demo', revision: 'v1' }, { ...options, logger }), snapshot);
    assert.equal(warnings.length, 1);
    // The hub has moved on: a start goes on with what there is, and whoever asks for the model is told.
    const newer = new Map(hub.repositories.get('owner/demo')?.files).set('README.md', Buffer.from('newer'));
    hub.repositories.set('owner/demo', { files: newer });
    hub.commit = 'e'.repeat(40);
    assert.equal(await fetchCheckpoint(HUB_ID, { ...options, logger }), snapshot);
    assert.equal(warnings.length, 2);
    await assert.rejects(
      fetchCheckpoint(HUB_ID, { ...options, check: 'digest' }),
      failsWith('store_unwritable', 'HF_HOME'),
    );
    await assert.rejects(
      fetchCheckpoint({ id: 'owner/demo', revision: hub.commit }, options),
      failsWith('store_unwritable'),
    );
  }).finally(() => setMode(0o755));
});

test('what those who were killed have left is removed with the next download', async (t) => {
  const { cacheFolder, options } = await makePlace(t);
  const blob = blobPathOf(cacheFolder, UNET);
  mkdirSync(dirname(blob), { recursive: true });
  const [old, young] = [`${blob}.text2img-lock.999999-a@gone`, `${blob}.text2img-lock.999998-b@alive`];
  for (const path of [old, young]) writeFileSync(path, '');
  utimesSync(old, 1, 1);
  await fetchCheckpoint(HUB_ID, options);
  const left = readdirSync(dirname(blob)).filter((name) => name.includes('text2img'));
  assert.deepEqual(left, [young.slice(dirname(blob).length + 1)]);
});

test('folders of the cache that are no snapshots are not listed', async (t) => {
  const { cacheFolder, options } = await makePlace(t);
  await fetchCheckpoint(HUB_ID, options);
  for (const name of ['\u001b[31mred', '..x', 'main', COMMIT.slice(0, 39)])
    mkdirSync(join(cacheFolder, REPO, 'snapshots', name));
  const listed = await new HubCache(cacheFolder).list();
  assert.deepEqual(
    listed.map(({ commit, refs }) => [commit, ...refs]),
    [[COMMIT, 'main']],
  );
});

test('an id has bounded parts; a branch may be long', () => {
  assert.equal(parseHubId(`a/b@${'x/'.repeat(200)}y`)?.revision.length, 401);
  for (const text of [
    `${'a'.repeat(97)}/b`,
    `a/${'b'.repeat(97)}`,
    `a/b@${'x'.repeat(1001)}`,
    'a/b@x..y',
    'constructor',
  ])
    assert.equal(parseHubId(text), undefined, text.slice(0, 20));
  assert.deepEqual(parseHubId('constructor/prototype'), { id: 'constructor/prototype', revision: 'main' });
});
