/** Which server and which account: the environment, key files, signed links, and what is said when they are wrong. */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { test, type TestContext } from 'node:test';
import { googleSettings } from '../../../src/config/google.ts';
import { Text2ImgError } from '../../../src/errors/text2img-error.ts';
import { silentLogger } from '../../../src/observability/logger.ts';
import { safeMessage } from '../../../src/storage/gcs/gcs-errors.ts';
import { GcsImageStore } from '../../../src/storage/gcs/gcs-image-store.ts';
import { checkCanSign, readCredentialsFile } from '../../../src/storage/gcs/google-credentials.ts';
import { publicUrlUnder } from '../../../src/storage/public-url.ts';
import { longestDeliveryMs } from '../../webhook/longest-delivery.ts';
import { GcsServer } from '../../servers/gcs-server.ts';

const BUCKET = 'pictures';
const GOOGLE = { bucket: BUCKET, logger: silentLogger, apiEndpoint: undefined, deadlineMs: 500 };

function failsWith(code: string, ...parts: readonly string[]): (error: unknown) => true {
  return (error) => {
    assert.ok(error instanceof Text2ImgError, String(error));
    assert.equal(error.code, code);
    for (const part of parts) assert.ok(error.message.includes(part), error.message);
    return true;
  };
}

/** The client library reads the environment by itself. */
async function withVariables(
  changes: Readonly<Record<string, string | undefined>>,
  action: () => Promise<void>,
): Promise<void> {
  const before = Object.fromEntries(Object.keys(changes).map((name) => [name, process.env[name]]));
  const assign = (values: Readonly<Record<string, string | undefined>>): void => {
    for (const [name, value] of Object.entries(values)) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  };
  assign(changes);
  try {
    await action();
  } finally {
    assign(before);
  }
}

for (const form of ['host:port', 'http://host:port', 'http://host:port/', 'http://host:port/storage/v1/']) {
  test(`STORAGE_EMULATOR_HOST may be ${form}, and no credentials go there`, async (t) => {
    const server = await GcsServer.start({ bucket: BUCKET });
    t.after(() => server[Symbol.asyncDispose]());
    const value = form.replace('host:port', new URL(server.url).host);
    await withVariables({ STORAGE_EMULATOR_HOST: value }, async () => {
      const { apiEndpoint } = googleSettings({ STORAGE_EMULATOR_HOST: value });
      assert.ok(apiEndpoint !== undefined);
      const store = new GcsImageStore({ ...GOOGLE, credentialsFile: undefined, apiEndpoint });
      const metadata = { runId: 'run-1', docKey: '{}', seed: 5, model: 'demo' };
      const object = { name: 'generated/a.png', png: new Uint8Array(9), metadata };
      const always = { mayReplace: async () => true };
      await store.check();
      assert.equal((await store.put(object, always)).outcome, 'created');
      assert.equal((await store.put(object, always)).outcome, 'adopted');
    });
    assert.ok(server.requests.length >= 4 && server.requests.every(({ hasCredentials }) => !hasCredentials));
  });
}

/** Notes what it is asked for, and serves nothing. */
async function startProxy(t: TestContext): Promise<{ readonly url: string; readonly asked: string[] }> {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`);
    response.writeHead(404).end();
  });
  server.on('connect', ({ url }, socket) => {
    asked.push(`CONNECT ${url}`);
    socket.destroy();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => (server.closeAllConnections(), server.close()));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked };
}

const NO_PROXY_AT_ALL = {
  HTTP_PROXY: undefined,
  http_proxy: undefined,
  HTTPS_PROXY: undefined,
  https_proxy: undefined,
  NO_PROXY: undefined,
  no_proxy: undefined,
};

test('bucket and token server are asked through HTTPS_PROXY, unless NO_PROXY names them', async (t) => {
  const key = await makeKeyFile(t);
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' });
  await key.write({ type: 'service_account', client_email: 'x@y.iam.gserviceaccount.com', private_key: pem });
  const proxy = await startProxy(t);
  const other = await startProxy(t);
  const changes = {
    ...NO_PROXY_AT_ALL,
    GOOGLE_APPLICATION_CREDENTIALS: key.path,
    // Google's client would take this one for https URLs too.
    HTTP_PROXY: other.url,
    HTTPS_PROXY: proxy.url,
  };
  await withVariables(changes, async () => {
    const store = new GcsImageStore({ ...GOOGLE, ...googleSettings(process.env), deadlineMs: 60_000 });
    const stop = new AbortController();
    const check = assert.rejects(store.check({ signal: stop.signal }), { name: 'AbortError' });
    for (let waitedMs = 0; waitedMs < 20_000 && proxy.asked.length === 0; waitedMs += 20) await sleep(20);
    stop.abort();
    await check;
  });
  assert.ok(proxy.asked.length > 0 && proxy.asked.every((what) => what.endsWith('googleapis.com:443')));
  proxy.asked.length = 0;
  for (const NO_PROXY of ['*', 'googleapis.com', 'x, .googleapis.com']) {
    const settings = googleSettings({ HTTPS_PROXY: proxy.url, NO_PROXY });
    assert.equal(settings.proxy, undefined, NO_PROXY);
    assert.match(settings.variables['NO_PROXY'] ?? '', /(?:^|,)storage\.googleapis\.com(?:,|$)/);
    assert.match(settings.variables['NO_PROXY'] ?? '', /(?:^|,)oauth2\.googleapis\.com(?:,|$)/);
  }
  assert.deepEqual([proxy.asked, other.asked], [[], []]);
});

test('a proxy for https is none for an emulator, and the machine’s own account is never asked through one', async (t) => {
  const server = await GcsServer.start({ bucket: BUCKET });
  t.after(() => server[Symbol.asyncDispose]());
  const proxy = await startProxy(t);
  await withVariables(
    { ...NO_PROXY_AT_ALL, HTTPS_PROXY: proxy.url, STORAGE_EMULATOR_HOST: new URL(server.url).host },
    async () => {
      await new GcsImageStore({ ...GOOGLE, ...googleSettings(process.env) }).check();
      assert.match(process.env['NO_PROXY'] ?? '', /169\.254\.169\.254/);
    },
  );
  assert.deepEqual(proxy.asked, []);
  await withVariables(
    { ...NO_PROXY_AT_ALL, HTTP_PROXY: proxy.url, STORAGE_EMULATOR_HOST: new URL(server.url).host },
    async () => {
      await assert.rejects(new GcsImageStore({ ...GOOGLE, ...googleSettings(process.env) }).check());
    },
  );
  const [asked = ''] = proxy.asked as readonly string[];
  assert.ok(asked.includes(server.url), asked);
});

test('an environment without proxies is left as it is', () => {
  const { proxy, variables } = googleSettings(Object.freeze({ NO_PROXY: 'a,b' }));
  assert.equal(proxy, undefined);
  assert.equal(variables['NO_PROXY'], undefined);
});

interface Key {
  readonly path: string;
  write(content: object | string): Promise<void>;
}

async function makeKeyFile(t: TestContext): Promise<Key> {
  const folder = await mkdtemp(join(tmpdir(), 'text2img-key-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const path = join(folder, 'gcp-key.json');
  return { path, write: (content) => writeFile(path, typeof content === 'string' ? content : JSON.stringify(content)) };
}

test('a key file that is missing, unreadable or no key is named, before anything else', async (t) => {
  const key = await makeKeyFile(t);
  const store = (): GcsImageStore =>
    new GcsImageStore({
      bucket: BUCKET,
      logger: silentLogger,
      credentialsFile: key.path,
      apiEndpoint: undefined,
      deadlineMs: 500,
    });
  await assert.rejects(store().check(), failsWith('store_unwritable', key.path, 'GOOGLE_APPLICATION_CREDENTIALS'));
  await key.write('not json');
  await assert.rejects(store().check(), failsWith('store_unwritable', key.path));
  await chmod(key.path, 0);
  // Root may read everything, so it becomes nobody for a moment.
  const isRoot = process.getuid?.() === 0;
  if (isRoot) process.seteuid?.(65_534);
  try {
    assert.throws(() => readCredentialsFile(key.path), failsWith('store_unwritable', key.path, '--user'));
  } finally {
    if (isRoot) process.seteuid?.(0);
  }
});

test('credentials that are nowhere, or whose key is broken, are told as such, without the key', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'text2img-home-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  // Google's client reads all of these by itself.
  const changes = {
    HOME: folder,
    CLOUDSDK_CONFIG: folder,
    GOOGLE_APPLICATION_CREDENTIALS: undefined,
    METADATA_SERVER_DETECTION: 'none',
  };
  await withVariables(changes, async () => {
    const check = new GcsImageStore({ ...GOOGLE, credentialsFile: undefined }).check();
    await assert.rejects(check, failsWith('store_unwritable', 'GOOGLE_APPLICATION_CREDENTIALS', 'default credentials'));
  });
  const key = await makeKeyFile(t);
  const broken = '-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n';
  await key.write({ type: 'service_account', client_email: 'x@y.iam.gserviceaccount.com', private_key: broken });
  await withVariables({ GOOGLE_APPLICATION_CREDENTIALS: key.path }, async () => {
    const check = new GcsImageStore({ ...GOOGLE, credentialsFile: key.path }).check();
    await assert.rejects(check, (error: Error) => !/c2VjcmV0/.test(`${error.message}`));
    await assert.rejects(check, failsWith('store_unwritable', 'GOOGLE_APPLICATION_CREDENTIALS'));
  });
});

test('an error’s message has no token, key or signature in it, and is one short line', () => {
  const said =
    'refused\nBearer abc.def-123 at https://x/o?X-Goog-Credential=me%2F1&X-Goog-Signature=0a1b&alt=media ya29.a0Secret ' +
    'eyJhbGciOi.eyJpc3MiOi.c2ln -----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY----- access_token=hunter2.';
  const message = safeMessage(new Error(said));
  assert.doesNotMatch(message, /abc|me%2F|0a1b|a0Secret|eyJ|MIIE|hunter2|\n/);
  assert.match(message, /^refused Bearer \[redacted\] at https:\/\/x\/o\?.*alt=media/);
  assert.ok(safeMessage(new Error('x'.repeat(10_000))).length < 400);
});

test('a STORAGE_EMULATOR_HOST that is no address is refused, and its password is not shown', () => {
  for (const value of ['http://', 'ftp://host', 'http://user:hunter2@host:1'])
    assert.throws(
      () => googleSettings({ STORAGE_EMULATOR_HOST: value }),
      (error) => failsWith('invalid_option', 'STORAGE_EMULATOR_HOST')(error) && !/hunter2/.test(String(error)),
    );
});

test('an empty STORAGE_EMULATOR_HOST is unset: Google’s endpoint is meant, and credentials are sent', async (t) => {
  assert.equal(googleSettings({ STORAGE_EMULATOR_HOST: '' }).apiEndpoint, undefined);
  const key = await makeKeyFile(t);
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' });
  await key.write({ type: 'service_account', client_email: 'x@y.iam.gserviceaccount.com', private_key: pem });
  await withVariables({ STORAGE_EMULATOR_HOST: '', GOOGLE_APPLICATION_CREDENTIALS: key.path }, async () => {
    const store = new GcsImageStore({ ...GOOGLE, deadlineMs: 60_000, credentialsFile: key.path });
    assert.match(
      await store.signedUrl(`gs://${BUCKET}/generated/a.png`),
      /^https:\/\/storage\.googleapis\.com\/pictures\//,
    );
  });
});

test('a signed link is a V4 link that outlives the last try of a webhook', async (t) => {
  const key = await makeKeyFile(t);
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' });
  await key.write({ type: 'service_account', client_email: 'x@y.iam.gserviceaccount.com', private_key: pem });
  checkCanSign(key.path);
  const store = new GcsImageStore({
    bucket: BUCKET,
    logger: silentLogger,
    credentialsFile: key.path,
    apiEndpoint: undefined,
  });
  await withVariables({ GOOGLE_APPLICATION_CREDENTIALS: key.path }, async () => {
    const url = new URL(await store.signedUrl(`gs://${BUCKET}/generated/ä b.png`));
    assert.equal(url.searchParams.get('X-Goog-Algorithm'), 'GOOG4-RSA-SHA256');
    assert.equal(url.searchParams.get('X-Goog-Expires'), String(7 * 24 * 60 * 60));
    assert.ok(Number(url.searchParams.get('X-Goog-Expires')) * 1000 >= longestDeliveryMs());
    assert.ok(url.pathname.endsWith('/generated/%C3%A4%20b.png'), url.pathname);
  });
});

test('links are not signed with credentials that end before the last try', async (t) => {
  const key = await makeKeyFile(t);
  assert.throws(() => checkCanSign(undefined), failsWith('conflicting_options', 'there is none'));
  await key.write({ type: 'authorized_user', refresh_token: 'secret' });
  assert.throws(() => checkCanSign(key.path), failsWith('conflicting_options', 'authorized_user'));
  assert.throws(() => checkCanSign(`${key.path}.missing`), failsWith('store_unwritable', 'no such file'));
});

const SECRET = 'MIIEvQIBADANBgkqhkiG9w0BAQEFAASC';
for (const [what, value] of [
  ['the key’s JSON', `{"type":"service_account","private_key":"-----BEGIN PRIVATE KEY-----\\n${SECRET}"}`],
  ['the key’s JSON behind a line break', `\n{"private_key":"${SECRET}"}`],
  ['the key itself', `-----BEGIN PRIVATE KEY-----\n${SECRET}\n-----END PRIVATE KEY-----`],
  ['the key’s JSON in quotation marks', JSON.stringify(`{"private_key":"${SECRET}"}`)],
  ['the key in base64', Buffer.from(`{"private_key":"${SECRET}"}`.repeat(20)).toString('base64')],
] as const) {
  test(`${what} in place of its path is refused by the variable’s name, and not shown`, () => {
    assert.throws(
      () => readCredentialsFile(value),
      (error) => {
        failsWith('store_unwritable', 'GOOGLE_APPLICATION_CREDENTIALS', 'no path')(error);
        const { message, stack = '' } = error as Error;
        for (const part of [SECRET, value.slice(0, 30)]) assert.ok(!`${message}${stack}`.includes(part), message);
        return true;
      },
    );
  });
}

test('a file that holds no account is refused with what is wrong, and its content is not shown', async (t) => {
  const key = await makeKeyFile(t);
  for (const [content, said] of [
    ['null', 'no'],
    ['[]', 'JSON object'],
    ['"text"', 'JSON object'],
    ['', 'JSON object'],
    [`{"private_key": ${SECRET}`, 'JSON object'],
    [`\uFEFF{"type":"authorized_user"}`, 'byte order mark'],
    ['{"type":"service_account"}', 'private_key'],
    [{ type: 'service_account', private_key: 5 }, 'private_key'],
    [{ type: 'service_account', private_key: `-----BEGIN PRIVATE KEY-----\\n${SECRET}` }, 'escaped twice'],
  ] as const) {
    await key.write(content);
    for (const look of [readCredentialsFile, checkCanSign])
      assert.throws(
        () => look(key.path),
        (error) => failsWith('store_unwritable', key.path, said)(error) && !String(error).includes(SECRET),
      );
  }
  assert.throws(() => readCredentialsFile(tmpdir()), failsWith('store_unwritable', 'a folder'));
  assert.throws(() => readCredentialsFile('/dev/null'), failsWith('store_unwritable', 'no plain file'));
});

test('a public URL is the base and the name, each part encoded', () => {
  for (const [base, url] of [
    ['https://cdn.example', 'https://cdn.example/generated/%C3%A4%20b%3F.2.png'],
    ['https://cdn.example/x//', 'https://cdn.example/x/generated/%C3%A4%20b%3F.2.png'],
    ['https://cdn.example/p?v=1&w=%20', 'https://cdn.example/p/generated/%C3%A4%20b%3F.2.png?v=1&w=%20'],
    ['http://[::1]:8080/?#top', 'http://[::1]:8080/generated/%C3%A4%20b%3F.2.png?'],
  ] as const)
    assert.equal(publicUrlUnder(base, 'generated/ä b?.2.png'), url);
});
