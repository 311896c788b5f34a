/** `text2img run --metrics-port`: a real worker, scraped while it works. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startWebhookReceiver } from '../servers/webhook-receiver.ts';
import { cleanEnvironment, launcher, root, runCli, temporaryFolder } from './run-cli.ts';

const DEMO = ['--model', join(root, 'models', 'demo')];

test('a worker is scraped while it works, and counts what it did', async (t) => {
  const folder = temporaryFolder();
  const data = ['--data-dir', folder];
  const small = ['--width', '64', '--height', '64', '--num-inference-steps', '2'];
  await runCli({ args: ['enqueue', '--prompt', 'a red circle', ...small, ...data] });
  const child = spawn(process.execPath, [launcher, 'run', '--watch', '--metrics-port', '0', ...DEMO, ...data], {
    env: cleanEnvironment({ OMP_NUM_THREADS: '1' }),
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  t.after(() => child.kill('SIGKILL'));
  const { promise: found, resolve } = Promise.withResolvers<string>();
  createInterface({ input: child.stderr }).on('line', (line) => {
    const url = /http:\/\/127\.0\.0\.1:\d+\/metrics/.exec(line)?.[0];
    if (url !== undefined) resolve(url);
  });
  const url = await found;
  let page = '';
  while (!page.includes('text2img_jobs_ended_total{end="completed",code=""} 1')) {
    page = await (await fetch(url)).text();
    await sleep(50);
  }
  for (const line of [
    'text2img_attempts_total 1',
    'text2img_images_total 1',
    'text2img_pixels_total 4096',
    'text2img_steps_total 2',
    'text2img_queue_up 1',
    'text2img_stage_seconds_count{stage="denoise"} 1',
  ])
    assert.ok(page.includes(`${line}\n`), line);
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  assert.deepEqual(await ended, [0, null]);
});

test('a server shows the same figures at its /metrics and at its port for scrapers: jobs, webhooks and requests', async (t) => {
  const folder = temporaryFolder();
  const receiver = await startWebhookReceiver();
  t.after(() => receiver[Symbol.asyncDispose]());
  const args = ['serve', '--port', '0', '--metrics-port', '0', '--callback-url', receiver.url, '--data-dir', folder];
  const child = spawn(process.execPath, [launcher, ...args, ...DEMO], {
    env: cleanEnvironment({ OMP_NUM_THREADS: '1' }),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  t.after(() => child.kill('SIGKILL'));
  const scraper = Promise.withResolvers<string>();
  createInterface({ input: child.stderr }).on('line', (line) => {
    const url = /http:\/\/127\.0\.0\.1:\d+\/metrics/.exec(line)?.[0];
    if (url !== undefined) scraper.resolve(url);
  });
  const [url] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
  const answer = await fetch(new URL('/v1/images/generations', url), {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ prompt: 'a red circle', size: '64x64', steps: 2 }),
  });
  assert.equal(answer.status, 200);
  const delivered = 'text2img_webhook_attempts_total{outcome="delivered"} 1\n';
  for (const place of [await scraper.promise, `${url}/metrics`]) {
    let page = '';
    while (!page.includes(delivered)) {
      page = await (await fetch(place)).text();
      await sleep(50);
    }
    for (const line of [
      'text2img_jobs_ended_total{end="completed",code=""} 1',
      'text2img_steps_total 2',
      'text2img_webhook_lag_seconds_count 1',
      'text2img_http_requests_total{method="POST",route="/v1/images/generations",status="200"} 1',
    ])
      assert.ok(page.includes(`${line}\n`), `${place}: ${line}`);
  }
});

test('a port that is no port, and one that is taken, are refused before anything is generated', async () => {
  const data = ['--data-dir', temporaryFolder()];
  const wrong = await runCli({ args: ['run', '--metrics-port', '99999', ...DEMO, ...data] });
  assert.equal(wrong.code, 2);
  assert.match(wrong.stderr, /--metrics-port .*a port from 0 to 65535/);
  const nowhere = await runCli({
    args: ['run', '--metrics-port', '0', '--metrics-host', '192.0.2.1', ...DEMO, ...data],
  });
  assert.equal(nowhere.code, 2);
  assert.match(
    nowhere.stderr,
    /Nothing can listen on port 0 of "192\.0\.2\.1" for --metrics-port: this machine has no such address/,
  );
});
