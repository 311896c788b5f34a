/** Which URLs go through the operator's proxy. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test, type TestContext } from 'node:test';
import { Text2ImgError } from '../../src/errors/text2img-error.ts';
import { exchange } from '../../src/lib/http-exchange.ts';
import { readProxies } from '../../src/lib/proxies.ts';
import { agentFor } from '../../src/lib/proxy-agent.ts';

interface Proxy {
  readonly host: string;
  /** What it was asked for. */
  readonly asked: string[];
}

/** Answers every plain request itself; what becomes of a tunnel is the test's. */
async function startProxy(t: TestContext, onTunnel: 'hang' | 'close' | 'refuse' = 'close'): Promise<Proxy> {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(`${request.method} ${request.url} ${request.headers['proxy-authorization'] ?? ''}`.trim());
    response.writeHead(207).end();
  });
  server.on('connect', ({ url }, socket) => {
    asked.push(`CONNECT ${url}`);
    socket.on('error', () => undefined);
    if (onTunnel === 'close') socket.destroy();
    if (onTunnel === 'refuse') socket.end('HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return { host: `127.0.0.1:${(server.address() as AddressInfo).port}`, asked };
}

const get = (text: string, environment: Record<string, string>) => {
  const url = new URL(text);
  return exchange({ url, headers: {}, agent: agentFor(url, readProxies(environment)), headTimeoutMs: 1000 });
};

test('a proxy is found under either name, with or without a scheme, with its password', async (t) => {
  const { host, asked } = await startProxy(t);
  for (const [name, value] of [
    ['http_proxy', `http://${host}`],
    ['HTTP_PROXY', host],
    ['HTTP_PROXY', ` http://user:p%40ss@${host}/ `],
  ] as const) {
    const answer = await get('http://shop.example:8000/a?b=1', { [name]: value });
    assert.equal(answer.statusCode, 207);
    answer.resume();
  }
  const basic = `Basic ${Buffer.from('user:p@ss').toString('base64')}`;
  assert.deepEqual(asked, [
    ...Array(2).fill('GET http://shop.example:8000/a?b=1'),
    `GET http://shop.example:8000/a?b=1 ${basic}`,
  ]);
});

test('a tunnel that is closed, refused or never made is an error, and one connection', async (t) => {
  for (const onTunnel of ['close', 'refuse', 'hang'] as const) {
    const { host, asked } = await startProxy(t, onTunnel);
    await assert.rejects(get('https://shop.example/', { HTTPS_PROXY: `http://${host}` }), Error);
    assert.deepEqual(asked, ['CONNECT shop.example:443']);
  }
});

test('NO_PROXY names hosts, their subdomains, ports, addresses and ranges of them', async (t) => {
  const { host, asked } = await startProxy(t);
  const isDirect = async (url: string, none: string): Promise<boolean> => {
    const before = asked.length;
    const answer = await get(url, { HTTP_PROXY: host, no_proxy: none }).catch(() => undefined);
    answer?.resume();
    return asked.length === before;
  };
  const direct = [
    ['http://a.invalid/', '*'],
    ['http://a.invalid/', 'x, A.invalid'],
    ['http://b.a.invalid/', 'a.invalid'],
    ['http://b.a.invalid/', '.a.invalid'],
    ['http://b.a.invalid/', '*.a.invalid'],
    ['http://a.invalid:81/', 'a.invalid:81'],
    ['http://a.invalid/', 'a.invalid:80'],
    ['http://127.0.0.2:1/', '127.0.0.0/8'],
    ['http://[::1]:1/', '::1/128'],
    ['http://[::1]:1/', '[::1]:1'],
    ['http://127.0.0.2:1/', 'x 127.0.0.2'],
  ] as const;
  for (const [url, none] of direct) assert.ok(await isDirect(url, none), `${url} with ${none}`);
  const proxied = [
    ['http://a.invalid/', ''],
    ['http://ba.invalid/', 'a.invalid'],
    ['http://a.invalid/', 'b.a.invalid'],
    ['http://a.invalid/', 'a.invalid:81'],
    ['http://127.0.0.2:1/', '127.0.0.0/32'],
    ['http://127.0.0.2:1/', '0.0.2'],
    ['http://127.0.0.2:1/', '127.0.0.0/99'],
  ] as const;
  for (const [url, none] of proxied) assert.ok(!(await isDirect(url, none)), `${url} with ${none}`);
});

test('what is no proxy is refused by the variable’s name, without its value', () => {
  for (const value of ['socks5://secret@h:1', 'ftp://secret', 'http://', 'http://secret@:80', 'sec ret'])
    assert.throws(
      () => readProxies({ https_proxy: value }),
      (error) =>
        error instanceof Text2ImgError &&
        error.code === 'invalid_option' &&
        error.message.startsWith('https_proxy ') &&
        !error.message.includes('sec'),
      value,
    );
});
