/** The listener of `--metrics-port`. */
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { once } from 'node:events';
import { test } from 'node:test';
import type { Text2ImgError } from '../../../src/errors/text2img-error.ts';
import { listenForScrapes } from '../../../src/http/metrics/metrics-listener.ts';
import { silentLogger } from '../../../src/observability/logger.ts';
import { Metrics } from '../../../src/observability/metrics.ts';

const LOCAL = { host: '127.0.0.1', port: 0 };

test('GET /metrics answers the page in the format of Prometheus, and HEAD the same without a body', async () => {
  const metrics = new Metrics();
  await using listener = await listenForScrapes(metrics, LOCAL, silentLogger);
  const answer = await fetch(listener.url);
  assert.equal(answer.status, 200);
  assert.match(answer.headers.get('content-type') ?? '', /^text\/plain; version=0\.0\.4/);
  assert.match(await answer.text(), /^# HELP text2img_build_info /m);
  const head = await fetch(`${listener.url}?a=b`, { method: 'HEAD' });
  assert.deepEqual([head.status, await head.text()], [200, '']);
  assert.ok(Number(head.headers.get('content-length')) > 1000);
});

test('it answers nothing else', async () => {
  await using listener = await listenForScrapes(new Metrics(), LOCAL, silentLogger);
  const statusOf = async (path: string, method = 'GET'): Promise<number> =>
    (await fetch(new URL(path, listener.url), { method })).status;
  assert.deepEqual(
    await Promise.all([
      statusOf('/'),
      statusOf('/metrics/x'),
      statusOf('/metrics', 'POST'),
      statusOf('/metrics', 'DELETE'),
    ]),
    [404, 404, 405, 405],
  );
});

test('it listens on the named address only', async () => {
  await using listener = await listenForScrapes(new Metrics(), LOCAL, silentLogger);
  const { port, hostname } = new URL(listener.url);
  assert.equal(hostname, '127.0.0.1');
  // All of 127.0.0.0/8 is this machine on Linux; elsewhere the address is not there at all.
  await assert.rejects(fetch(`http://127.0.0.2:${port}/metrics`));
});

test('a port that is taken is refused by name', async () => {
  await using listener = await listenForScrapes(new Metrics(), LOCAL, silentLogger);
  const port = Number(new URL(listener.url).port);
  await assert.rejects(listenForScrapes(new Metrics(), { ...LOCAL, port }, silentLogger), (error: Text2ImgError) => {
    assert.equal(error.code, 'invalid_option');
    assert.match(error.message, new RegExp(`port ${port} .*another program listens there`));
    return true;
  });
});

test('an end closes connections that are open, so that no scraper holds the process', async () => {
  const listener = await listenForScrapes(new Metrics(), LOCAL, silentLogger);
  const socket = connect(Number(new URL(listener.url).port), '127.0.0.1');
  await once(socket, 'connect');
  // A request that never ends.
  socket.write('GET /metrics HTTP/1.1\r\n');
  const closed = new Promise((resolve) => socket.once('close', resolve));
  socket.on('error', () => undefined);
  await listener[Symbol.asyncDispose]();
  await closed;
});

test('a page that cannot be made ends the connection, and is logged', async () => {
  const logged: string[] = [];
  const logger = { ...silentLogger, repeated: (message: string) => void logged.push(message) };
  const broken = { contentType: 'text/plain', page: async () => Promise.reject(new Error('no page')) };
  await using listener = await listenForScrapes(broken, LOCAL, logger);
  await assert.rejects(fetch(listener.url));
  assert.deepEqual(logged, ['the metrics could not be written']);
});
