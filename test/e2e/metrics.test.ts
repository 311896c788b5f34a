/** `text2img run --metrics-port`: a real worker, scraped while it works. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
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
