/** A lock between processes: what a dead holder leaves is taken over, and nothing that a lock's content names is touched. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { withFileLock } from '../../src/lib/file-lock.ts';

async function makeFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'text2img-lock-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** The number of a process that has ended. */
function deadPid(): number {
  return spawnSync(process.execPath, ['--version']).pid;
}

test('one holder at a time, in whatever order they come, and no file is left', async (t) => {
  const folder = await makeFolder(t);
  let holders = 0;
  const hold = (): Promise<number> =>
    withFileLock(join(folder, 'x.lock'), async () => {
      assert.equal(++holders, 1);
      await new Promise((resolve) => setImmediate(resolve));
      return --holders;
    });
  assert.deepEqual(await Promise.all([hold(), hold(), hold(), hold()]), [0, 0, 0, 0]);
  assert.deepEqual(await readdir(folder), []);
});

test('the lock of a dead process is taken over, and both of its names are gone', async (t) => {
  const folder = await makeFolder(t);
  const holder = `${deadPid()}-k3v9@${hostname()}`;
  await writeFile(join(folder, 'x.lock'), holder);
  await writeFile(join(folder, `x.lock.${holder}`), holder);
  assert.equal(await withFileLock(join(folder, 'x.lock'), () => Promise.resolve('held')), 'held');
  assert.deepEqual(await readdir(folder), []);
});

test('a lock whose content is a path is taken over, and what it leads to stays', async (t) => {
  const folder = await makeFolder(t);
  const pid = deadPid();
  await mkdir(join(folder, `x.lock.${pid}-a`));
  await writeFile(join(folder, 'precious'), 'dear');
  await writeFile(join(folder, 'x.lock'), `${pid}-a/../precious`);
  await withFileLock(join(folder, 'x.lock'), () => Promise.resolve());
  assert.deepEqual((await readdir(folder)).toSorted(), ['precious', `x.lock.${pid}-a`]);
});

test('a lock that cannot be made leaves nothing', async (t) => {
  const folder = await makeFolder(t);
  await assert.rejects(
    withFileLock(join(folder, 'missing/x.lock'), () => Promise.resolve()),
    { code: 'ENOENT' },
  );
  assert.deepEqual(await readdir(folder), []);
});
