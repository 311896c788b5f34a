/** A hub that lies, or whoever stands in its place: nothing outside of the cache, no token to others, no answer without a bound, no wait without an end. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { fetchCheckpoint } from '../../../src/checkpoint/hub/fetch-checkpoint.ts';
import { DEMO, failsWith, HUB_ID, makePlace, UNET } from './hub-place.ts';
import { COMMIT, type HubFault, TOKEN } from '../../servers/hub-server.ts';

type Entry = Record<string, unknown>;

/** What a hub may say of one file, and what the refusal must name. */
const BAD_ENTRIES: Readonly<Record<string, readonly [(entry: Entry) => unknown, string]>> = {
  'a sum that is a path': [(entry) => ({ ...entry, oid: '../../../../../tmp/x' }), 'oid'],
  'a sum in capitals': [(entry) => ({ ...entry, oid: 'A'.repeat(40) }), 'oid'],
  'a sum that is too short': [(entry) => ({ ...entry, oid: 'a'.repeat(39) }), 'oid'],
  'a sum that is an object': [(entry) => ({ ...entry, oid: { $ne: 1 } }), 'oid'],
  'a large file’s sum that is git’s': [(entry) => ({ ...entry, lfs: { oid: 'a'.repeat(40), size: 5 } }), 'lfs.oid'],
  'a large file’s sum that is a path': [
    (entry) => ({ ...entry, lfs: { oid: `../${'a'.repeat(61)}`, size: 5 } }),
    'lfs.oid',
  ],
  'a large file without a size': [(entry) => ({ ...entry, lfs: { oid: 'a'.repeat(64) } }), 'lfs.size'],
  'half a byte': [(entry) => ({ ...entry, size: 0.5 }), 'size'],
  'a size beyond all numbers': [(entry) => ({ ...entry, size: 1e300 }), 'size'],
  'a size of null': [(entry) => ({ ...entry, size: null }), 'size'],
  'a path upwards': [(entry) => ({ ...entry, path: 'unet/../../config.json' }), 'path'],
  'a path from the root': [(entry) => ({ ...entry, path: '/etc/passwd' }), 'path'],
  'a path with an empty part': [(entry) => ({ ...entry, path: 'unet//config.json' }), 'path'],
  'a path with a backslash': [(entry) => ({ ...entry, path: 'unet\\..\\config.json' }), 'path'],
  'a path that is a list': [(entry) => ({ ...entry, path: ['model_index.json'] }), 'path'],
  'a path of a million characters': [(entry) => ({ ...entry, path: 'x'.repeat(1_000_000) }), 'path'],
  'an entry that is null': [() => null, 'entry'],
  'an entry that is a list': [() => [1], 'entry'],
};

for (const [name, [change, named]] of Object.entries(BAD_ENTRIES)) {
  test(`the list of files has ${name}: refused by its field, and nothing is fetched or written`, async (t) => {
    const { hub, cacheFolder, options } = await makePlace(t);
    hub.changeTree = (entries) => entries.map((entry) => (entry['path'] === 'vae/config.json' ? change(entry) : entry));
    await assert.rejects(fetchCheckpoint(HUB_ID, options), failsWith('download_failed', named));
    assert.equal(hub.downloads.length, 0);
    assert.deepEqual(readdirSync(cacheFolder), []);
  });
}

for (const sha of [
  '../../../../etc',
  '',
  'main',
  'A'.repeat(40),
  'a'.repeat(41),
  7,
  null,
  undefined,
  ['a'.repeat(40)],
]) {
  test(`the hub names the commit ${JSON.stringify(sha) ?? 'not at all'}: refused`, async (t) => {
    const { hub, cacheFolder, options } = await makePlace(t);
    hub.commit = sha as string;
    await assert.rejects(fetchCheckpoint(HUB_ID, options), failsWith('download_failed', '40 or 64 hex digits'));
    assert.deepEqual(readdirSync(cacheFolder), []);
  });
}

test('a commit that was asked for is that commit', async (t) => {
  const { hub, options } = await makePlace(t);
  hub.branches = new Set([...hub.branches, 'c'.repeat(40)]);
  await assert.rejects(
    fetchCheckpoint({ id: 'owner/demo', revision: 'c'.repeat(40) }, options),
    failsWith('download_failed', 'c'.repeat(40)),
  );
});

test('a repository whose sums are SHA-256 is fetched', async (t) => {
  const { hub, options } = await makePlace(t);
  hub.commit = 'd'.repeat(64);
  const folder = await fetchCheckpoint(HUB_ID, options);
  assert.ok(folder.endsWith(join('snapshots', 'd'.repeat(64))));
});

for (const [name, answer] of [
  ['a log-in page', ['text/html', '<!doctype html><title>Sign in</title>']],
  ['nothing', ['application/json', '']],
  ['half of an answer', ['application/json', '{"sha": "aaa']],
  ['a text', ['application/json', '"no"']],
  ['null', ['application/json', 'null']],
] as const) {
  test(`the API answers 200 with ${name}: said as such, once`, async (t) => {
    const { hub, options } = await makePlace(t);
    hub.api = (_, response) => {
      response.writeHead(200, { 'content-type': answer[0] }).end(answer[1]);
      return true;
    };
    await assert.rejects(fetchCheckpoint(HUB_ID, options), failsWith('download_failed', 'the answer for'));
    assert.equal(hub.requests.length, 1);
  });
}

test('an answer without end is cut off', async (t) => {
  const { hub, options } = await makePlace(t);
  let sentBytes = 0;
  hub.api = (_, response) => {
    const more = (): void => {
      while (!response.destroyed) {
        sentBytes += 1 << 20;
        if (!response.write(Buffer.alloc(1 << 20, ' '))) return void response.once('drain', more);
      }
    };
    more();
    return true;
  };
  await assert.rejects(fetchCheckpoint(HUB_ID, options), failsWith('download_failed', 'more than'));
  assert.ok(sentBytes < 64 * (1 << 20), `${sentBytes} bytes`);
});

/** Another server, which answers every request with `[]`. */
async function startOther(t: TestContext): Promise<{ readonly url: string; readonly got: IncomingHttpHeaders[] }> {
  const got: IncomingHttpHeaders[] = [];
  const server = createServer(({ headers }, response) => {
    got.push(headers);
    response.writeHead(200, { 'content-type': 'application/json' }).end('[]');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, got };
}

test('a list that goes on at another server is asked for at the hub itself, as a mirror needs it', async (t) => {
  const { hub, options } = await makePlace(t);
  const other = await startOther(t);
  hub.api = (request, response) => {
    if (request.url?.includes('/tree/') === true && !request.url.includes('cursor'))
      response.setHeader('link', `<${other.url}${request.url}&cursor=2>; rel="next"`);
    return false;
  };
  await fetchCheckpoint(HUB_ID, { ...options, access: { ...options.access, token: TOKEN } });
  assert.equal(other.got.length, 0);
  assert.equal(hub.requests.filter(({ path }) => path.includes('/tree/')).length, 2);
});

test('a list without end is given up', async (t) => {
  const { hub, options } = await makePlace(t);
  let pages = 0;
  hub.api = (request, response) => {
    if (request.url?.includes('/tree/') === true)
      response.setHeader('link', `<${hub.url}/api/models/owner/demo/tree/main?cursor=${pages++}>; rel="next"`);
    return false;
  };
  await assert.rejects(fetchCheckpoint(HUB_ID, options), failsWith('download_failed', 'pages'));
  assert.ok(pages <= 100);
});

test('the token goes to the hub’s own origin only, whatever redirects there are; a password in addresses goes nowhere', async (t) => {
  const { hub, options } = await makePlace(t);
  const other = await startOther(t);
  hub.api = (request, response) => {
    if (!request.url?.includes('/tree/')) return false;
    response.writeHead(307, { location: `${other.url.replace('//', '//someone:else@')}${request.url}` }).end();
    return true;
  };
  for (const token of [TOKEN, undefined]) {
    const access = { endpoint: hub.url.replace('//', '//us:er@'), token };
    await assert.rejects(fetchCheckpoint(HUB_ID, { ...options, access }), failsWith('invalid_model_index'));
  }
  assert.deepEqual(
    [other.got.length, other.got.filter(({ authorization }) => authorization !== undefined).length],
    [2, 0],
  );
  assert.deepEqual(
    hub.requests.filter(({ path }) => path.includes('/revision/')).map(({ headers }) => headers.authorization),
    [`Bearer ${TOKEN}`, undefined],
  );
});

test('a redirect to something that is no web address is refused', async (t) => {
  const { hub, options } = await makePlace(t);
  hub.api = (_, response) => {
    response.writeHead(302, { location: 'file:///etc/passwd' }).end();
    return true;
  };
  await assert.rejects(fetchCheckpoint(HUB_ID, options), failsWith('download_failed', '"file:"'));
});

test('a token of any kind is used; one that no header can carry is refused by its name, and not shown', async (t) => {
  const { hub, options } = await makePlace(t);
  for (const token of ['mirror-token', ' hf_x\n', '\thf_x '])
    await fetchCheckpoint(HUB_ID, { ...options, access: { endpoint: hub.url, token } });
  for (const token of ['hf_ab c', 'hf_a\nb', 'hf_ä', 'hf_\u0000'])
    await assert.rejects(fetchCheckpoint(HUB_ID, { ...options, access: { endpoint: hub.url, token } }), (error) => {
      failsWith('invalid_option', 'HF_TOKEN')(error);
      assert.ok(!(error as Error).message.includes('hf_'));
      return true;
    });
});

test('what is no address of a hub is refused by the variable’s name, without a password', async (t) => {
  const { options } = await makePlace(t);
  for (const endpoint of [
    'hub.example',
    'localhost:8080',
    'ftp://hub.example',
    'https://',
    '//user:secret@hub',
    'hub@secret',
    '',
  ])
    await assert.rejects(fetchCheckpoint(HUB_ID, { ...options, access: { endpoint, token: undefined } }), (error) => {
      failsWith('invalid_option', 'HF_ENDPOINT')(error);
      assert.ok(!(error as Error).message.includes('secret'));
      return true;
    });
});

test('an endpoint may have a path, a slash at its end, and white space around it', async (t) => {
  const { hub, options } = await makePlace(t);
  await fetchCheckpoint(HUB_ID, { ...options, access: { endpoint: ` ${hub.url}/ \n`, token: undefined } });
  const before = hub.requests.length;
  await assert.rejects(
    fetchCheckpoint(
      { id: 'owner/other', revision: 'main' },
      { ...options, access: { endpoint: `${hub.url}/mirror/hf/`, token: undefined } },
    ),
    failsWith('model_not_found'),
  );
  assert.equal(hub.requests[before]?.path, '/mirror/hf/api/models/owner/other/revision/main');
});

test('an API that is busy or breaks off is asked again; one that stays so is given up with what it said', async (t) => {
  const { hub, options } = await makePlace(t);
  const troubles = [502, 429, 'cut', 504, 'silent close'] as const;
  let asked = 0;
  hub.api = (request, response) => {
    const trouble = asked++ % 2 === 0 ? troubles[(asked >> 1) % troubles.length] : undefined;
    if (trouble === undefined) return false;
    if (trouble === 'silent close') request.socket.destroy();
    else if (trouble === 'cut') {
      response.writeHead(200, { 'content-length': '1000' }).write('{');
      setTimeout(() => request.socket.destroy(), 20);
    } else response.writeHead(trouble, { 'retry-after': '0' }).end();
    return true;
  };
  for (let pull = 0; pull < 3; pull++) await fetchCheckpoint(HUB_ID, options);
  hub.api = (_, response) => Boolean(response.writeHead(503).end());
  const before = hub.requests.length;
  await assert.rejects(
    fetchCheckpoint({ id: 'owner/other', revision: 'main' }, options),
    failsWith('download_failed', '503', new URL(hub.url).host),
  );
  assert.equal(hub.requests.length - before, 5);
});

test('a 403 is the hub’s word on terms only when the hub says so; a proxy’s is told as a refusal', async (t) => {
  const { hub, options } = await makePlace(t);
  const answers = [
    [{}, 'download_failed', '403'],
    [
      { 'x-error-code': 'DisabledRepo', 'x-error-message': 'Access to this resource is disabled.' },
      'download_failed',
      'disabled',
    ],
    [{ 'x-error-code': 'GatedRepo' }, 'model_gated', 'HF_TOKEN'],
  ] as const;
  for (const [headers, code, part] of answers) {
    hub.api = (_, response) => Boolean(response.writeHead(403, headers).end('<h1>no</h1>'));
    await assert.rejects(fetchCheckpoint(HUB_ID, options), failsWith(code, part));
  }
});

const RANGE_FAULTS: Readonly<Record<string, HubFault>> = {
  'refuses every part (416)': { kind: 'refuse-range' },
  'gives the beginning where another part was asked for': { kind: 'other-range' },
  'gives a part of another file': { kind: 'other-range', says: 'bytes 1000-1999/2000' },
  'does not say which part it gives': { kind: 'other-range', says: '' },
};

for (const [name, fault] of Object.entries(RANGE_FAULTS)) {
  test(`a server that ${name}: the file is begun anew`, async (t) => {
    const { hub, options } = await makePlace(t);
    let tries = 0;
    hub.fault = (file, { server }) => {
      if (file !== UNET || server !== 'cdn') return undefined;
      return tries++ === 0 ? { kind: 'drop', afterBytes: 1000 } : fault;
    };
    const folder = await fetchCheckpoint(HUB_ID, options);
    assert.ok(readFileSync(join(folder, UNET)).equals(readFileSync(join(DEMO, UNET))));
    const ranges = hub.downloads
      .filter(({ server, path }) => server === 'cdn' && path.endsWith(UNET))
      .map(({ headers }) => headers.range);
    assert.deepEqual(ranges, [undefined, 'bytes=1000-', undefined]);
  });
}

test('a server that breaks off for ever is given up, whether it goes on, begins anew, or refuses to go on', async (t) => {
  for (const kind of ['drop', 'drop and refuse', 'ignore and drop'] as const) {
    const { hub, options } = await makePlace(t);
    let tries = 0;
    hub.fault = (file, { server, headers }) => {
      if (file !== UNET || server !== 'cdn') return undefined;
      tries++;
      if (kind === 'drop and refuse' && headers.range !== undefined) return { kind: 'refuse-range' };
      // Whole chunks arrive, and the connection breaks: always at the same place.
      if (kind === 'ignore and drop') delete headers.range;
      return { kind: 'drop', afterBytes: kind === 'drop' ? 10 : 200_000 };
    };
    await assert.rejects(fetchCheckpoint(HUB_ID, options), failsWith('download_failed'));
    assert.ok(tries <= 20, `${kind}: ${tries} tries`);
  }
});

test('a body that trickles is not waited for', async (t) => {
  const patience = { silenceMs: 60_000, windowMs: 100, windowBytes: 1000 };
  const { hub, options } = await makePlace(t, { patience });
  hub.fault = (file) => (file === UNET ? { kind: 'trickle', everyMs: 10 } : undefined);
  await assert.rejects(fetchCheckpoint(HUB_ID, options), failsWith('download_failed', 'fewer than 1000 bytes'));
});

test('a body that stays away is not waited for', async (t) => {
  // The answer's head has to come within the same time, also from a busy machine.
  const patience = { silenceMs: 1000, windowMs: 60_000, windowBytes: 0 };
  const { hub, options } = await makePlace(t, { patience });
  hub.fault = (file) => (file === UNET ? { kind: 'trickle', everyMs: 60_000 } : undefined);
  await assert.rejects(fetchCheckpoint(HUB_ID, options), failsWith('download_failed', 'no byte for'));
});

test('the operator’s proxy is used for the API and for the files, and not where NO_PROXY names the hub', async (t) => {
  const { hub, cacheFolder, options } = await makePlace(t);
  const asked: string[] = [];
  const pass = async (url: string, response: ServerResponse): Promise<void> => {
    // What a proxy does: the same request, to where the address says.
    const upstream = await fetch(url, { redirect: 'manual', headers: { 'accept-encoding': 'identity' } });
    response
      .writeHead(upstream.status, Object.fromEntries(upstream.headers))
      .end(Buffer.from(await upstream.arrayBuffer()));
  };
  const proxy = createServer(({ url = '' }, response) => {
    asked.push(url);
    void pass(url, response);
  });
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  t.after(() => proxy.close());
  const http = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
  const access = { ...options.access, proxies: { http, https: undefined, none: [] } };
  await fetchCheckpoint(HUB_ID, { ...options, access });
  assert.ok(
    asked.length >= hub.requests.length - 1 &&
      asked.some((url) => url.includes('/api/')) &&
      asked.some((url) => url.endsWith(UNET)),
  );
  const before = asked.length;
  await fetchCheckpoint(HUB_ID, {
    ...options,
    cacheFolder: join(cacheFolder, 'other'),
    access: { ...access, proxies: { ...access.proxies, none: ['127.0.0.0/8', 'localhost'] } },
  });
  assert.equal(asked.length, before);
});

test('a pull that fails midway leaves no model_index.json in the snapshot, so that nobody takes it for whole', async (t) => {
  const { hub, cacheFolder, options } = await makePlace(t);
  hub.fault = (file) => (file === UNET ? { kind: 'status', status: 404 } : undefined);
  await assert.rejects(fetchCheckpoint(HUB_ID, options), failsWith('model_not_found'));
  const snapshot = join(cacheFolder, 'models--owner--demo/snapshots', COMMIT);
  assert.ok(existsSync(dirname(snapshot)) && !existsSync(join(snapshot, 'model_index.json')));
});
