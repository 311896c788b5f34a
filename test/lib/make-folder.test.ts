/** Making folders: as `mkdir -p`, and it ends everywhere. */
import assert from 'node:assert/strict';
import { globSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { makeFolder, makeFolderSync } from '../../src/lib/make-folder.ts';

const folder = mkdtempSync(join(tmpdir(), 'text2img-folders-'));
after(() => rmSync(folder, { recursive: true }));

const WAYS = {
  makeFolder,
  makeFolderSync: async (...args: Parameters<typeof makeFolderSync>) => makeFolderSync(...args),
} as const;

for (const [name, make] of Object.entries(WAYS)) {
  test(`${name} makes all that is missing with its mode, and leaves what is there`, async () => {
    const path = join(folder, name, 'b', 'c');
    await make(path, { mode: 0o700 });
    for (const one of [path, join(path, '..'), join(folder, name)]) assert.equal(statSync(one).mode & 0o777, 0o700);
    await make(path, { mode: 0o755 });
    assert.equal(statSync(path).mode & 0o777, 0o700);
    await Promise.all(Array.from({ length: 8 }, () => make(join(folder, name, 'many', 'at', 'once'))));
    assert.ok(statSync(join(folder, name, 'many', 'at', 'once')).isDirectory());
    symlinkSync(join(folder, name), join(folder, `link-${name}`));
    await make(join(folder, `link-${name}`, 'through', 'it'));
    assert.ok(statSync(join(folder, name, 'through', 'it')).isDirectory());
  });

  test(`${name} rejects with the system's error where a file or a link to nothing is on the way`, async () => {
    const file = join(folder, `${name}-file`);
    writeFileSync(file, '');
    await assert.rejects(make(file), { code: 'EEXIST' });
    await assert.rejects(make(join(file, 'a')), { code: 'ENOTDIR' });
    const link = join(folder, `${name}-nowhere`);
    symlinkSync(join(folder, 'nowhere', 'at', 'all'), link);
    await assert.rejects(make(join(link, 'a')), { code: 'EEXIST' });
  });
}

test('no other file of the sources makes folders recursively by Node’s own means, which may never end', () => {
  const root = fileURLToPath(new URL('../../src/', import.meta.url));
  const users = globSync('**/*.ts', { cwd: root }).filter((file) =>
    /\bmkdir(?:Sync)?\([^;]*recursive/.test(readFileSync(join(root, file), 'utf8')),
  );
  assert.deepEqual(users, [], 'call makeFolder of src/lib/make-folder.ts');
});
