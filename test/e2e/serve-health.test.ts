/** The health file of `serve`, which the health check of the image looks at: with a worker of its own, and without. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { test } from 'node:test';
import { cleanEnvironment, launcher, runCli, temporaryFolder } from './run-cli.ts';

for (const [what, flags] of [
  ['its own worker', []],
  ['no worker', ['--no-worker']],
] as const)
  test(`a server with ${what} renews the health file, and removes it when it stops`, async () => {
    const folder = temporaryFolder();
    const file = join(folder, 'heartbeat');
    const environment = { TEXT2IMG_HEARTBEAT_FILE: file, TEXT2IMG_DATA_DIR: folder, TMPDIR: folder };
    const args = [launcher, 'serve', '--port', '0', '--grace-period', '1', ...flags];
    const server = spawn(process.execPath, args, { env: cleanEnvironment(environment) });
    try {
      const [url] = (await once(server.stdout, 'data')) as [Buffer];
      assert.equal((await fetch(`${url.toString().trim()}/livez`)).status, 200);
      while (!existsSync(file) || !readFileSync(file, 'utf8').includes('"running"')) await sleep(50);
      const healthy = await runCli({ args: ['health'], environment });
      assert.equal(healthy.code, 0, healthy.stderr);
      server.kill('SIGTERM');
      await once(server, 'close');
      assert.ok(!existsSync(file), 'it stopped');
    } finally {
      server.kill('SIGKILL');
    }
  });
