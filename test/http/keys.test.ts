/** API keys: the file, its changes while a server runs, and the ways in which clients send a key. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { test, type TestContext } from 'node:test';
import { createKey, listKeys, revokeKeys } from '../../src/http/keys/edit-key-file.ts';
import { KeyFile } from '../../src/http/keys/key-file.ts';
import { presentedSecret } from '../../src/http/keys/presented-secret.ts';
import { silentLogger } from '../../src/observability/logger.ts';

async function keyPath(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'text2img-keys-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return join(folder, 'keys');
}

test('a key is found by its secret, and the file holds no secret and is its owner’s alone', async (t) => {
  const path = await keyPath(t);
  const alice = await createKey(path, 'alice', { isAdmin: false });
  const root = await createKey(path, 'root', { isAdmin: true });
  assert.match(alice, /^t2i_[\w-]{43}$/);
  const file = await KeyFile.open(path, silentLogger);
  assert.deepEqual(await file.find(alice), { name: 'alice', isAdmin: false, limits: {} });
  assert.deepEqual(await file.find(root), { name: 'root', isAdmin: true, limits: {} });
  for (const wrong of ['', 'alice', `${alice}x`, alice.slice(0, -1), 'x'.repeat(100_000)])
    assert.equal(await file.find(wrong), undefined);
  const text = await readFile(path, 'utf8');
  assert.ok(!text.includes(alice.slice(4)) && !text.includes(root.slice(4)));
  assert.equal((await stat(path)).mode & 0o777, 0o600);
});

test('two keys of one name both work until the name is revoked, and a running server notices', async (t) => {
  const path = await keyPath(t);
  const [one, two] = [
    await createKey(path, 'alice', { isAdmin: false }),
    await createKey(path, 'alice', { isAdmin: false }),
  ];
  const bob = await createKey(path, 'bob', { isAdmin: false });
  const file = await KeyFile.open(path, silentLogger);
  assert.equal((await file.find(one))?.name, 'alice');
  assert.equal((await file.find(two))?.name, 'alice');
  assert.equal(await revokeKeys(path, 'alice'), 2);
  while ((await file.find(one)) !== undefined) await sleep(20);
  assert.equal(await file.find(two), undefined);
  assert.equal((await file.find(bob))?.name, 'bob');
  assert.deepEqual(
    (await listKeys(path)).map(({ name }) => name),
    ['bob'],
  );
  await assert.rejects(revokeKeys(path, 'alice'), { code: 'not_found' });
});

test('keys that are created at once are all kept', async (t) => {
  const path = await keyPath(t);
  const names = Array.from({ length: 8 }, (_, index) => `key-${index}`);
  await Promise.all(names.map((name) => createKey(path, name, { isAdmin: false })));
  assert.deepEqual((await listKeys(path)).map(({ name }) => name).toSorted(), names);
});

test('limits stand behind the hash, and a line that is none is refused by its number without its text', async (t) => {
  const path = await keyPath(t);
  const hash = 'a'.repeat(64);
  await writeFile(path, `# people\n\nalice:${hash} admin max_open=3 max_images=2\r\n`);
  assert.deepEqual(await listKeys(path), [{ name: 'alice', isAdmin: true, limits: { maxOpen: 3, maxImages: 2 } }]);
  for (const line of [
    'alice',
    `alice:${hash}0`,
    `al ice:${hash}`,
    `alice:${hash} max_opne=3`,
    `alice:${hash} max_open=-1`,
  ]) {
    await writeFile(path, `\n${line}\n`);
    await assert.rejects(
      KeyFile.open(path, silentLogger),
      ({ code, message }: { code: string; message: string }) =>
        code === 'invalid_option' && message.includes('Line 2') && !message.includes('alice'),
      line,
    );
  }
});

test('a file that becomes unreadable leaves the keys as they were', async (t) => {
  const path = await keyPath(t);
  const alice = await createKey(path, 'alice', { isAdmin: false });
  const file = await KeyFile.open(path, silentLogger);
  await writeFile(path, 'nonsense');
  await sleep(1100);
  assert.equal((await file.find(alice))?.name, 'alice');
});

test('a secret is taken from four places, and an empty one counts as none', () => {
  const basic = (text: string): string => `Basic ${Buffer.from(text).toString('base64')}`;
  const found = [
    { authorization: 'Bearer t2i_a' },
    { authorization: 'bearer   t2i_a  ' },
    { authorization: basic('anybody:t2i_a') },
    { authorization: basic(':t2i_a') },
    { 'x-api-key': 't2i_a' },
    { 'api-key': ' t2i_a ' },
    { authorization: 'Basic', 'api-key': 't2i_a' },
  ];
  for (const headers of found) assert.equal(presentedSecret(headers), 't2i_a', JSON.stringify(headers));
  const none = [
    '',
    ' ',
    'Bearer',
    'Bearer ',
    'Basic',
    'Basic ',
    basic('user:'),
    basic('user'),
    'Digest t2i_a',
    't2i_a',
  ];
  for (const authorization of none) assert.equal(presentedSecret({ authorization }), undefined, authorization);
});
