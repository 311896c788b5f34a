/** A URL out of a document must not lead into the network that the service stands in. */
import assert from 'node:assert/strict';
import type { lookup } from 'node:dns';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { Text2ImgError } from '../../src/errors/text2img-error.ts';
import { LookupQueue } from '../../src/webhook/lookup-queue.ts';
import { checkDocumentUrl, guardedLookup, isGlobal } from '../../src/webhook/url-guard.ts';

const NOBODY = { allowedHosts: new Set<string>() };

test('an https URL on 443 or 8443 with a name or a public address passes', () => {
  for (const url of [
    'https://example.com/hook?x=1',
    'https://example.com:8443/',
    'https://93.184.216.34/',
    'https://[2606:2800:220:1::1]/',
  ])
    assert.equal(checkDocumentUrl(url, NOBODY).href, new URL(url).href);
});

test('everything else is refused, with the value and what is allowed', () => {
  const refused = [
    'http://example.com/',
    'https://example.com:444/',
    'https://user:pass@example.com/',
    'https://127.0.0.1/',
    'https://127.1/',
    'https://0x7f000001/',
    'https://2130706433/',
    'https://0177.0.0.1/',
    'https://10.1.2.3/',
    'https://172.16.0.1/',
    'https://192.168.1.1/',
    'https://169.254.169.254/latest/meta-data/',
    'https://100.64.0.1/',
    'https://168.63.129.16/',
    'https://0.0.0.0/',
    'https://255.255.255.255/',
    'https://224.0.0.1/',
    'https://198.18.0.1/',
    'https://[::1]/',
    'https://[::]/',
    'https://[fe80::1]/',
    'https://[fd00::1]/',
    'https://[::ffff:127.0.0.1]/',
    'https://[::ffff:7f00:1]/',
    'https://[64:ff9b::7f00:1]/',
    'https://[2002:7f00:1::]/',
    'ftp://example.com/',
    'file:///etc/passwd',
    'javascript:alert(1)',
    'example.com',
    '',
  ];
  for (const url of refused)
    assert.throws(
      () => checkDocumentUrl(url, NOBODY),
      (error) =>
        error instanceof Text2ImgError &&
        error.code === 'invalid_parameter' &&
        error.message.startsWith('"callback_url" is '),
      url,
    );
});

test('a host that the operator allows may be private and plain http, its neighbour may not', () => {
  const guard = { allowedHosts: new Set(['127.0.0.1:9000', 'hooks.internal']) };
  assert.ok(checkDocumentUrl('http://127.0.0.1:9000/x', guard));
  assert.ok(checkDocumentUrl('http://hooks.internal:1234/x', guard));
  assert.throws(() => checkDocumentUrl('http://127.0.0.1:9001/x', guard));
  assert.throws(() => checkDocumentUrl('https://x@hooks.internal/x', guard));
});

/** What the guarded lookup answers for a name with these addresses. */
function resolve(addresses: readonly string[], all: boolean): Promise<unknown> {
  const resolver = ((_name: string, _options: object, callback: (error: null, found: object[]) => void) =>
    callback(
      null,
      addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
    )) as unknown as typeof lookup;
  return new Promise((done, fail) =>
    guardedLookup(resolver)('name.example', { all }, (error, found) => (error === null ? done(found) : fail(error))),
  );
}

test('a name is refused at the moment of connecting when any of its addresses is private', async () => {
  assert.deepEqual(await resolve(['93.184.216.34'], false), '93.184.216.34');
  assert.deepEqual(await resolve(['93.184.216.34'], true), [{ address: '93.184.216.34', family: 4 }]);
  for (const bad of ['127.0.0.1', '::1', '169.254.169.254', '::ffff:10.0.0.1', '168.63.129.16']) {
    for (const all of [true, false])
      await assert.rejects(
        resolve(['93.184.216.34', bad], all),
        (error) => error instanceof Text2ImgError && error.code === 'webhook_refused',
      );
  }
  await assert.rejects(resolve([], true));
});

test('no address of a reserved block counts as global, however it is chosen', () => {
  const blocks = [
    [10, 8],
    [127, 8],
    [0, 8],
    [224, 4],
    [240, 4],
  ] as const;
  fc.assert(
    fc.property(fc.constantFrom(...blocks), fc.nat(2 ** 24 - 1), ([first], rest) => {
      assert.equal(isGlobal([first, rest >> 16, (rest >> 8) & 255, rest & 255].join('.')), false);
    }),
  );
});

test('an address outside of what is given out to be routed globally is not public', () => {
  for (const address of [
    '::10.0.0.1',
    '::8.8.8.8',
    '::2',
    '100:0:0:1::9',
    '200::1',
    '1000::1',
    '1fff:ffff::1',
    '4000::1',
    '5fff::1',
    '8000::1',
    'e000::1',
    'fe00::1',
    '::ffff:8.8.8.8',
    '2001:db8:1::1',
    '3fff:fff::1',
    '2002:808:808::1',
  ])
    assert.ok(!isGlobal(address), address);
  for (const address of ['2606:4700::1111', '2a00:1450:4001::1', '2001:4860:4860::8888', '3ffe::1', '8.8.8.8'])
    assert.ok(isGlobal(address), address);
});

test('an allowed host may be named with the port that its scheme has anyway', () => {
  const guard = { allowedHosts: new Set(['plain.internal:80', '10.9.8.7:443', '[fd00::5]:443']) };
  for (const url of [
    'http://plain.internal/',
    'http://plain.internal:80/x',
    'https://10.9.8.7/',
    'https://10.9.8.7:443/',
    'https://[fd00::5]/',
  ])
    assert.equal(checkDocumentUrl(url, guard).href, new URL(url).href);
  for (const url of ['https://plain.internal:81/', 'http://10.9.8.7/', 'https://10.9.8.7:8443/', 'http://[fd00::5]/'])
    assert.throws(() => checkDocumentUrl(url, guard), Text2ImgError, url);
});

test('a refusal shows scheme and host of a URL, never its path, its password or a text that is none', () => {
  for (const url of [
    'http://hooks.example/T0SECRET',
    'https://hooks.example:9/?token=SECRET',
    'https://user:SECRET@hooks.example/',
    'SECRET',
    'https://[SECRET',
    `https://hooks.example/${'SECRET'.repeat(1_000_000)}`,
  ])
    assert.throws(
      () => checkDocumentUrl(url, NOBODY),
      (error) => error instanceof Text2ImgError && !error.message.includes('SECRET') && error.message.length < 200,
    );
});

test('names are looked up two at a time, once for all who ask, and not at all when nobody waits for them any more', async () => {
  const begun: string[] = [];
  const ends: (() => void)[] = [];
  const slow = ((hostname: string, _options: object, found: (error: null, addresses: object[]) => void) => {
    begun.push(hostname);
    ends.push(() => found(null, [{ address: '93.184.216.34', family: 4 }]));
  }) as unknown as typeof lookup;
  const queue = new LookupQueue({ atOnce: 2, patienceMs: 50 });
  const answers = ['a', 'b', 'a', 'c', 'd'].map(
    (hostname) =>
      new Promise<string>((resolve) => {
        queue.find({ lookup: slow, hostname, options: { all: true } }, (error) =>
          resolve(`${hostname} ${error?.code ?? 'found'}`),
        );
      }),
  );
  assert.deepEqual(begun, ['a', 'b']);
  ends[0]?.();
  assert.deepEqual(begun, ['a', 'b', 'c']);
  await sleep(100);
  for (const end of ends) end();
  assert.deepEqual(await Promise.all(answers), ['a found', 'b found', 'a found', 'c found', 'd EAI_AGAIN']);
  assert.deepEqual(begun, ['a', 'b', 'c'], 'd waited too long');
});
