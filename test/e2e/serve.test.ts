/** `text2img serve` and `text2img keys` as users type them, with the demo checkpoint. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { get } from 'node:http';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { startServer } from '../http/server-process.ts';
import { runCli, temporaryFolder } from './run-cli.ts';

test('serve generates an image for a client of OpenAI’s API with the demo checkpoint, and ends with 0 at SIGTERM', async (t) => {
  const folder = temporaryFolder();
  const server = await startServer(t, ['--data-dir', join(folder, 'data'), '--grace-period', '1']);
  assert.match(server.url, /^http:\/\/127\.0\.0\.1:\d+$/);
  const body = JSON.stringify({ prompt: 'a red circle', size: '64x64', steps: 2, seed: 7 });
  const answer = await fetch(`${server.url}/v1/images/generations`, { method: 'POST', body });
  const { data } = (await answer.json()) as { data: readonly { b64_json: string; seed: number }[] };
  assert.deepEqual([answer.status, data[0]?.seed], [200, 7]);
  assert.equal(
    Buffer.from(data[0]?.b64_json ?? '', 'base64')
      .subarray(1, 4)
      .toString(),
    'PNG',
  );
  server.child.kill('SIGTERM');
  assert.equal(await server.ended, 0);
  assert.ok(!server.log().includes('a red circle'), 'no prompt is logged');
  const secret = join(folder, 'data', 'url-secret');
  assert.equal(statSync(secret).mode & 0o777, 0o600);
  assert.ok(!server.log().includes(readFileSync(secret, 'utf8').trim()));
});

test('a server that cannot do what its options say ends before it listens, with a code and a sentence', async (t) => {
  const folder = temporaryFolder();
  const taken = createServer().listen(0, '127.0.0.1');
  t.after(() => taken.close());
  await once(taken, 'listening');
  const address = taken.address();
  const port = typeof address === 'object' ? String(address?.port) : '';
  const data = ['--data-dir', join(folder, 'data')];
  const cases: readonly (readonly [args: readonly string[], code: number, says: RegExp])[] = [
    [['--host', '0.0.0.0'], 2, /--api-keys FILE.*--no-auth.*\[conflicting_options\]/],
    [['--host', 'evil/host'], 2, /\[invalid_option\]/],
    [['--no-auth', '--api-keys', 'keys'], 2, /not both.*\[conflicting_options\]/],
    [['--api-keys', join(folder, 'nothing')], 2, /key file.*\[invalid_option\]/],
    [['--port', '70000'], 2, /\[invalid_option\]/],
    [['--cors-origin', 'app.example'], 2, /\[invalid_option\]/],
    [['--allowed-hosts', 'https://app.example'], 2, /--allowed-hosts.*host names.*\[invalid_option\]/],
    [['--allowed-hosts', 'app.example:7860'], 2, /\[invalid_option\]/],
    [['--url-secret', 'short'], 2, /\(not shown\).*\[invalid_option\]/],
    [['--port', port, ...data], 2, /another program listens there.*\[invalid_option\]/],
    [['--port', '0', '--model', './nothing', ...data], 4, /\[model_not_found\]/],
  ];
  for (const [args, code, says] of cases) {
    const ended = await runCli({ args: ['serve', ...args], cwd: folder });
    assert.deepEqual([ended.code, ended.stdout], [code, ''], `${args.join(' ')}: ${ended.stderr}`);
    assert.match(ended.stderr, says, args.join(' '));
  }
});

test('a key is created, opens the server, is listed without its secret, and is refused after it was revoked', async (t) => {
  const folder = temporaryFolder();
  const keys = (...args: string[]) => runCli({ args: ['keys', ...args, '--api-keys', 'keys'], cwd: folder });
  const created = await keys('create', 'alice');
  const secret = created.stdout.trim();
  assert.match(secret, /^t2i_[\w-]{43}$/);
  const admin = JSON.parse((await keys('create', 'root', '--admin', '--json')).stdout) as Record<string, unknown>;
  assert.deepEqual([admin['name'], admin['admin']], ['root', true]);
  const server = await startServer(t, ['--no-worker', '--data-dir', folder, '--api-keys', join(folder, 'keys')]);
  const status = async (key: string) =>
    (await fetch(`${server.url}/v1/models`, { headers: { authorization: `Bearer ${key}` } })).status;
  assert.deepEqual(
    [await status(secret), await status('t2i_wrong'), await status(String(admin['key']))],
    [200, 401, 200],
  );
  const listed = await keys('list');
  assert.equal(listed.stdout, 'alice\nroot  admin\n');
  assert.equal((await keys('revoke', 'alice')).stdout, '1 key revoked\n');
  while ((await status(secret)) !== 401);
  const again = await keys('revoke', 'alice');
  assert.deepEqual([again.code, again.stdout], [2, '']);
  for (const args of [
    ['create', 'bad name'],
    ['create', ''],
  ])
    assert.equal((await keys(...args)).code, 2, args.join(' '));
  const nameless = await runCli({ args: ['keys', 'list'], cwd: folder });
  assert.deepEqual([nameless.code, existsSync(join(folder, 'keys'))], [2, true]);
  assert.ok(!server.log().includes(secret));
});

test('without keys foreign host names are refused on every address, and --allowed-hosts allows some', async (t) => {
  const folder = temporaryFolder();
  const args = [
    '--no-worker',
    '--data-dir',
    folder,
    '--host',
    '0.0.0.0',
    '--no-auth',
    '--allowed-hosts',
    'Box.lan, other.example',
  ];
  const server = await startServer(t, args);
  const status = (host: string): Promise<number | undefined> => {
    const { promise, resolve, reject } = Promise.withResolvers<number | undefined>();
    const request = get(`${server.url}/v1/models`, { headers: { host } }, (answer) => {
      answer.resume();
      resolve(answer.statusCode);
    });
    request.once('error', reject);
    return promise;
  };
  for (const host of ['127.0.0.1', '192.168.1.7:7860', 'server:7860', 'box.lan:7860', 'other.example'])
    assert.equal(await status(host), 200, host);
  for (const host of ['evil.example', 'rebind.box.lan.example']) assert.equal(await status(host), 403, host);
});
