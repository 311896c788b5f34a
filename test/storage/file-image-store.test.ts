/** Pictures in a folder: the contract, crashes between two writes, and disks that refuse. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { test, type TestContext } from 'node:test';
import type { ErrorCode } from '../../src/errors/error-codes.ts';
import { Text2ImgError } from '../../src/errors/text2img-error.ts';
import { FileImageStore } from '../../src/storage/file-image-store.ts';
import { imageStoreConformance } from './image-store-conformance.ts';

async function makeFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'text2img-store-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

imageStoreConformance('FileImageStore', async (t) => {
  const folder = await makeFolder(t);
  return {
    store: new FileImageStore(folder),
    read: (name) => readFile(join(folder, name)),
    plant: async (name, bytes) => {
      await mkdir(dirname(join(folder, name)), { recursive: true });
      await writeFile(join(folder, name), bytes);
    },
  };
});

const METADATA = { runId: 'run-1', docKey: '{"_id":"a"}', seed: 5, model: 'demo' };
const OBJECT = { name: 'generated/a.png', png: new Uint8Array(100_000).fill(7), metadata: METADATA };
const mayReplace = async (): Promise<boolean> => true;

function failsWith(code: ErrorCode, part: string): (error: unknown) => boolean {
  return (error) => error instanceof Text2ImgError && error.code === code && error.message.includes(part);
}

test('the URL is the file’s', async (t) => {
  const folder = await makeFolder(t);
  const { url } = await new FileImageStore(folder).put(OBJECT, { mayReplace });
  assert.equal(url, pathToFileURL(join(folder, 'generated/a.png')).href);
});

test('nothing but the picture and its metadata is left behind', async (t) => {
  const folder = await makeFolder(t);
  const store = new FileImageStore(folder);
  await store.check();
  await store.put(OBJECT, { mayReplace });
  await store.put({ ...OBJECT, metadata: { ...METADATA, runId: 'run-2' } }, { mayReplace });
  const files = (await readdir(folder, { recursive: true })).toSorted();
  assert.deepEqual(files, ['generated', 'generated/.meta', 'generated/.meta/a.png.json', 'generated/a.png']);
});

test('a worker killed between the metadata and the picture leaves a picture that is still known', async (t) => {
  const folder = await makeFolder(t);
  const store = new FileImageStore(folder);
  await store.put(OBJECT, { mayReplace });
  // What the crash leaves: the next run's entry beside the old one, and the old picture.
  const path = join(folder, 'generated/.meta/a.png.json');
  const entries = JSON.parse(await readFile(path, 'utf8')) as object;
  await writeFile(path, JSON.stringify({ ...entries, ['0'.repeat(64)]: { ...METADATA, runId: 'run-2' } }));
  assert.equal((await store.find(OBJECT.name))?.metadata?.runId, 'run-1');
  const result = await store.put(
    { ...OBJECT, png: new Uint8Array(10), metadata: { ...METADATA, runId: 'run-3' } },
    { mayReplace },
  );
  assert.equal(result.outcome, 'replaced');
});

test('the lock of a process that was killed is taken over', async (t) => {
  const folder = await makeFolder(t);
  await mkdir(join(folder, 'generated/.meta'), { recursive: true });
  const dead = spawn(process.execPath, ['-e', '']);
  await new Promise((resolve) => dead.once('close', resolve));
  await writeFile(join(folder, 'generated/.meta/a.png.json.lock'), `${dead.pid}-x`);
  assert.equal((await new FileImageStore(folder).put(OBJECT, { mayReplace })).outcome, 'created');
});

test('a root that is a file is refused with its path', async (t) => {
  const path = join(await makeFolder(t), 'file');
  await writeFile(path, '');
  await assert.rejects(new FileImageStore(path).check(), failsWith('store_unwritable', path));
});

/** A file system of its own, because root may write where mode bits forbid it. False: none can be mounted here. */
async function mountTmpfs(t: TestContext, options: string): Promise<string | undefined> {
  const folder = await mkdtemp(join(tmpdir(), 'text2img-store-'));
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', folder]).status === 0;
  t.after(async () => {
    if (mounted) spawnSync('umount', [folder]);
    await rm(folder, { recursive: true, force: true });
  });
  return mounted ? folder : undefined;
}

test('a read-only folder is found by the check', async (t) => {
  const folder = await mountTmpfs(t, 'ro');
  if (folder === undefined)
    return t.skip('NOT RUN: a read-only folder, because no tmpfs can be mounted here (needs root on Linux)');
  await assert.rejects(new FileImageStore(folder).check(), failsWith('store_unwritable', folder));
});

test('a full disk is told as such and leaves no half picture', async (t) => {
  const folder = await mountTmpfs(t, 'size=64k');
  if (folder === undefined)
    return t.skip('NOT RUN: a full disk, because no tmpfs can be mounted here (needs root on Linux)');
  const store = new FileImageStore(folder);
  await store.check();
  await assert.rejects(store.put(OBJECT, { mayReplace }), failsWith('disk_full', folder));
  assert.equal(await store.find(OBJECT.name), undefined);
  assert.equal((await store.put({ ...OBJECT, png: new Uint8Array(100) }, { mayReplace })).outcome, 'created');
});
