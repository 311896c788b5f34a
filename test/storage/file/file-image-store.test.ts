/** Pictures in a folder: the contract, crashes between two writes, and disks that refuse. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { test, type TestContext } from 'node:test';
import type { ErrorCode } from '../../../src/errors/error-codes.ts';
import { Text2ImgError } from '../../../src/errors/text2img-error.ts';
import { FileImageStore } from '../../../src/storage/file/file-image-store.ts';
import { imageStoreConformance } from '../image-store-conformance.ts';

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

test('a URL gives its name back, whatever the folder is called', async (t) => {
  const folder = join(await makeFolder(t), 'a #b%20c?d=e');
  const store = new FileImageStore(folder);
  const { url } = await store.put(OBJECT, { mayReplace });
  assert.equal(store.nameOf(url), OBJECT.name);
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

for (const prefix of ['generated/', 'team/a/', 'a-']) {
  test(`a store whose images cannot lie under ${prefix} fails its check and its probe, and refuses no image for good`, async (t) => {
    const lies = async (make: (folder: string) => Promise<void>, said: string): Promise<void> => {
      const root = await makeFolder(t);
      const folder = join(root, prefix, prefix.endsWith('/') ? '' : '..');
      if (folder !== join(root, '/')) await mkdir(dirname(folder.replace(/\/$/, '')), { recursive: true });
      await make(folder.replace(/\/$/, ''));
      const store = new FileImageStore(root, { prefix });
      await assert.rejects(store.check(), failsWith('store_unwritable', said));
      await assert.rejects(store.probe({ sizeBytes: 5 }), failsWith('store_unwritable', said));
      await assert.rejects(
        store.put({ ...OBJECT, name: `${prefix}a.png` }, { mayReplace }),
        failsWith('store_unwritable', said),
      );
    };
    if (prefix.endsWith('/')) {
      await lies((folder) => writeFile(folder, ''), 'cannot be made');
      await lies((folder) => symlink('/nowhere/volume', folder), '/nowhere/volume');
    }
    await lies(async (folder) => {
      await mkdir(folder, { recursive: true });
      await writeFile(join(folder, '.meta'), '');
    }, '.meta');
  });
}

test('what cannot be written while the folder takes others is refused for good, and is known before anything is drawn', async (t) => {
  const folder = await makeFolder(t);
  const store = new FileImageStore(folder);
  await mkdir(join(folder, 'generated/folder.png/x'), { recursive: true });
  spawnSync('mkfifo', [join(folder, 'generated/pipe.png')]);
  for (const name of ['generated/folder.png', 'generated/pipe.png', `generated/${'x'.repeat(300)}.png`]) {
    await assert.rejects(
      store.put({ ...OBJECT, name }, { mayReplace }),
      failsWith('store_refused', name.slice(10, 40)),
    );
    const found = await store.find(name);
    assert.equal(found?.metadata, undefined);
    assert.match(found?.refusal ?? '', /folder|pipe|too long/);
  }
  assert.equal((await store.put(OBJECT, { mayReplace })).outcome, 'created');
});

test('another user’s image in a folder with the sticky bit may not be replaced, and says so', async (t) => {
  if (process.getuid?.() !== 0) return t.skip('NOT RUN: another user’s image, because only root can become two users');
  const folder = await makeFolder(t);
  await new FileImageStore(folder).put(OBJECT, { mayReplace });
  for (const path of ['', 'generated', 'generated/.meta']) await chmod(join(folder, path), 0o1777);
  await chmod(join(folder, 'generated/a.png'), 0o644);
  await chmod(join(folder, 'generated/.meta/a.png.json'), 0o644);
  process.seteuid?.(65_534);
  try {
    const store = new FileImageStore(folder);
    const found = await store.find(OBJECT.name);
    assert.equal(found?.metadata?.runId, 'run-1');
    assert.match(found.refusal ?? '', /belongs to user 0/);
    const next = { ...OBJECT, metadata: { ...METADATA, runId: 'run-2' } };
    await assert.rejects(store.put(next, { mayReplace }), failsWith('store_refused', 'a.png'));
    assert.equal((await store.put({ ...OBJECT, name: 'generated/b.png' }, { mayReplace })).outcome, 'created');
  } finally {
    process.seteuid?.(0);
  }
});

test('no name leads out of the folder', async (t) => {
  const folder = join(await makeFolder(t), 'data');
  const outside = new FileImageStore(folder, { prefix: '../outside/' });
  await assert.rejects(outside.check(), failsWith('store_unwritable', '../outside/'));
  for (const name of ['../outside/a.png', '/tmp/a.png', '..', 'generated/../../a.png']) {
    const store = new FileImageStore(folder);
    await assert.rejects(store.put({ ...OBJECT, name }, { mayReplace }), failsWith('store_unwritable', 'leads out'));
    await assert.rejects(store.find(name), failsWith('store_unwritable', 'leads out'));
  }
  assert.deepEqual(await readdir(dirname(folder)), []);
});

for (const [whose, holder] of [
  ['another container', '7-abc@0123456789ab'],
  ['a process whose number is used again', `${process.pid}-abc@${hostname()}`],
] as const) {
  test(`the lock that ${whose} left is taken over when nobody touched it for long`, { timeout: 60_000 }, async (t) => {
    const folder = await makeFolder(t);
    const lock = join(folder, 'generated/.meta/a.png.json.lock');
    await mkdir(dirname(lock), { recursive: true });
    await writeFile(lock, holder);
    await utimes(lock, new Date(0), new Date(Date.now() - 60_000));
    assert.equal((await new FileImageStore(folder).put(OBJECT, { mayReplace })).outcome, 'created');
  });
}

test('a worker whose lock was taken over while it was frozen writes nothing more', async (t) => {
  const folder = await makeFolder(t);
  const store = new FileImageStore(folder);
  await store.put(OBJECT, { mayReplace });
  const lock = join(folder, 'generated/.meta/a.png.json.lock');
  const frozen = { ...OBJECT, png: new Uint8Array(9), metadata: { ...METADATA, runId: 'run-2' } };
  const put = store.put(frozen, {
    mayReplace: async () => {
      await rm(lock);
      await writeFile(lock, '7-heir@elsewhere');
      return true;
    },
  });
  await assert.rejects(put, failsWith('store_failed', 'taken over'));
  assert.equal((await store.find(OBJECT.name))?.metadata?.runId, 'run-1');
  assert.equal(await readFile(lock, 'utf8'), '7-heir@elsewhere');
});

test('folders and files are for their owner and group', async (t) => {
  if (process.platform === 'win32') return t.skip('NOT RUN: modes of files, which Windows does not have');
  const before = process.umask(0);
  try {
    const folder = join(await makeFolder(t), 'data');
    await new FileImageStore(folder).put(OBJECT, { mayReplace });
    const mode = async (path: string): Promise<number> => (await stat(join(folder, path))).mode & 0o777;
    assert.deepEqual([await mode('.'), await mode('generated'), await mode('generated/a.png')], [0o750, 0o750, 0o640]);
  } finally {
    process.umask(before);
  }
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
  await assert.rejects(store.probe({ sizeBytes: OBJECT.png.length }), failsWith('disk_full', folder));
  await store.probe({ sizeBytes: 100 });
  assert.equal((await store.put({ ...OBJECT, png: new Uint8Array(100) }, { mayReplace })).outcome, 'created');
});

test('an image that may not be deleted stays, and is told by its name', async (t) => {
  const folder = await mountTmpfs(t, 'size=1m');
  if (folder === undefined)
    return t.skip(
      'NOT RUN: a folder that became read-only, because no tmpfs can be mounted here (needs root on Linux)',
    );
  const store = new FileImageStore(folder);
  await store.put(OBJECT, { mayReplace });
  spawnSync('mount', ['-o', 'remount,ro', folder]);
  await assert.rejects(store.remove(OBJECT.name, METADATA.docKey), failsWith('store_refused', 'a.png'));
  assert.equal((await store.read(OBJECT.name, { maxBytes: 1e6 }))?.bytes.length, OBJECT.png.length);
});

test('a deleted image leaves neither itself nor its entry nor a lock', async (t) => {
  const folder = await makeFolder(t);
  const store = new FileImageStore(folder);
  await store.put(OBJECT, { mayReplace });
  await store.remove(OBJECT.name, METADATA.docKey);
  const files = (await readdir(folder, { recursive: true })).toSorted();
  assert.deepEqual(files, ['generated', 'generated/.meta']);
});
