/** A URL out of a document must not lead into the network that the service stands in. */
import assert from 'node:assert/strict';
import type { lookup } from 'node:dns';
import { test } from 'node:test';
import fc from 'fast-check';
import { Text2ImgError } from '../../src/errors/text2img-error.ts';
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
