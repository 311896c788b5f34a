import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { FileError, openPlainFile, readPlainFile, writePlainFile } from '../../src/lib/plain-file.ts';

const place = await mkdtemp(join(tmpdir(), 'text2img-files-'));
after(() => rm(place, { recursive: true, force: true }));

const path = (name: string): string => join(place, name);
const bytes = Buffer.from('new');

/** The fault, or the text of the error when it is none of ours. */
async function faultOf(action: Promise<unknown>): Promise<string> {
  return await action.then(
    () => 'none',
    (error: unknown) => (error instanceof FileError ? error.fault : String(error)),
  );
}

test('a pipe, a socket, a device and a folder are neither read nor written, and nothing waits for them', async (t) => {
  execFileSync('mkfifo', [path('pipe')]);
  await mkdir(path('folder'));
  const server = createServer().listen(path('socket'));
  t.after(() => server.close());
  await new Promise((resolve) => server.once('listening', resolve));
  for (const [name, fault] of [
    [path('pipe'), 'not-plain'],
    [path('socket'), 'not-plain'],
    ['/dev/null', 'not-plain'],
    [path('folder'), 'folder'],
  ] as const) {
    assert.equal(await faultOf(openPlainFile(name)), fault, name);
    assert.equal(await faultOf(writePlainFile(name, bytes)), fault, name);
  }
  assert.ok((await stat(path('pipe'))).isFIFO(), 'it is still a pipe');
});

test('what is missing, a folder on the way that is a file, and a file that is too large have their own faults', async () => {
  await writeFile(path('file'), 'twelve bytes');
  assert.equal(await faultOf(readPlainFile(path('nothing'), 100)), 'missing');
  assert.equal(await faultOf(readPlainFile(path('file/x'), 100)), 'missing');
  assert.equal(await faultOf(writePlainFile(path('no-folder/x'), bytes)), 'missing');
  assert.equal(await faultOf(readPlainFile(path('file'), 11)), 'too-large');
  assert.equal((await readPlainFile(path('file'), 12)).toString(), 'twelve bytes');
});

test('a write goes through links, also through one that leads to nothing yet, and leaves no draft', async () => {
  await mkdir(path('linked'));
  await mkdir(path('real'));
  await writeFile(path('real/a'), 'old');
  await symlink('../real/a', path('linked/a'));
  await symlink('a', path('linked/b'));
  await symlink('../real/new', path('linked/new'));
  await symlink('circle', path('linked/circle'));
  await writePlainFile(path('linked/b'), bytes);
  await writePlainFile(path('linked/new'), bytes);
  assert.equal(await readFile(path('real/a'), 'utf8'), 'new');
  assert.equal(await readFile(path('real/new'), 'utf8'), 'new');
  assert.equal(await faultOf(writePlainFile(path('linked/circle'), bytes)), 'other');
  assert.deepEqual((await readdir(path('real'))).toSorted(), ['a', 'new']);
  assert.deepEqual(
    (await readdir(path('linked'))).toSorted(),
    ['a', 'b', 'circle', 'new'],
    'the links are still there',
  );
});

test('the mode of a file that is replaced stays, whatever the umask; a new one gets the mode that was asked for', async () => {
  for (const mode of [0o600, 0o640, 0o666, 0o755]) {
    const file = path(`mode-${mode}`);
    await writeFile(file, 'old');
    await chmod(file, mode);
    await writePlainFile(file, bytes);
    assert.equal((await stat(file)).mode & 0o7777, mode);
  }
  await writePlainFile(path('private'), bytes, { mode: 0o600 });
  assert.equal((await stat(path('private'))).mode & 0o7777, 0o600);
});

test('a name of 300 letters is refused with a bounded sentence', async () => {
  await assert.rejects(writePlainFile(path('x'.repeat(300)), bytes), (error: Error) => {
    assert.ok(error instanceof FileError);
    assert.equal(error.fault, 'name-too-long');
    assert.ok(error.message.length < 400, error.message);
    return true;
  });
});
