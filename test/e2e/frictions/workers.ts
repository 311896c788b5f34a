/** Frictions 16, 17 and 19: a worker's health, webhooks that wait, and what is said of a drain and of a download. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { ESCAPES, NO_TERMINAL, onTerminalOf } from '../pseudo-terminal.ts';
import type { Neighbours } from './neighbours.ts';
import type { Place } from './places.ts';
import { jsonLines, Shell, SMALL_IMAGES } from './shell.ts';

/** Many times what a start takes. */
const PATIENCE_MS = 120_000;

export function testWorkers(place: Place, neighbours: Neighbours): void {
  const { hook, environment } = neighbours;
  const shell = new Shell(place, 'workers', { ...SMALL_IMAGES, ...environment });

  test('16: a worker that was stopped is not healthy any more', async () => {
    for (const file of ['', '--heartbeat-file beat']) {
      const worker = shell.start(`text2img run --watch ${file}`);
      const pid = await pidOfWorker(shell, file);
      await shell.type(`text2img health ${file}`, { prints: /healthy, \d+ s ago/ });
      process.kill(pid, 'SIGTERM');
      assert.equal((await worker.ended).code, 0, worker.output());
      await shell.type(`text2img health ${file}`, { code: 5, says: /\[worker_unhealthy\]\n$/ });
    }
    assert.ok(!shell.has('beat'));
  });

  test('17: a webhook that waits says when it is sent, and is sent now on demand', async () => {
    // As the mended receiver of the friction, whose next attempt is minutes away.
    neighbours.answer = { status: 503, headers: { 'retry-after': '300' } };
    const to = { CALLBACK_URL: hook.url };
    await shell.type('text2img enqueue --prompt "a red circle"', {}, to);
    await shell.type('text2img run', { says: /1 webhook pending\n$/ }, to);
    neighbours.answer = { status: 200 };
    const next = /next attempt in \d+ min/;
    const { stdout } = await shell.type('text2img webhooks list', {
      prints: [/^msg_\S+ +\S+ +pending, 1 attempt, /, next],
    });
    const [id = ''] = stdout.split(' ');
    await shell.type('text2img webhooks redrive', { prints: /^0 / });
    await shell.type(`text2img webhooks redrive ${id}`, {
      code: 2,
      says: [/is pending|no dead webhook/, /deliver --now/],
    });
    await shell.type(
      'text2img webhooks deliver',
      { prints: [/^0 webhooks delivered, 0 attempts failed, 1 pending/, next] },
      to,
    );
    await shell.type(
      `text2img webhooks deliver --now ${id}`,
      { prints: /^1 webhook delivered, 0 attempts failed, 0 pending, 0 dead\n$/ },
      to,
    );
  });

  test('17: a webhook that failed for good is dead, and redrive retries it', async () => {
    neighbours.answer = { status: 410 };
    const to = { CALLBACK_URL: hook.url };
    await shell.type('text2img enqueue --prompt "a red circle"', {}, to);
    await shell.type('text2img run', { says: /1 webhook (?:dead|failed)\n$/ }, to);
    neighbours.answer = { status: 200 };
    await shell.type('text2img webhooks list --state dead', { prints: /^msg_\S+ +\S+ +dead, .*410/ });
    await shell.type('text2img webhooks redrive', { prints: /^1 / });
    await shell.type('text2img webhooks deliver', { prints: /^1 webhook delivered/ }, to);
  });

  test('19: piped, every image has a line with its rate, and a download says megabytes and rate', async () => {
    for (const prompt of ['a red circle', 'a blue square']) await shell.type(`text2img enqueue --prompt "${prompt}"`);
    const { stdout, stderr } = await shell.type('text2img run', {
      says: /\n2 images in text2img-data\/generated \([\d.]+ s\)\n$/,
    });
    assert.equal(stdout.trimEnd().split('\n').length, 2);
    assert.equal(stderr.match(/: step 2 of 2, [\d.]+ (?:it\/s|s\/it), [\d.]+ s$/gm)?.length, 2, stderr);
    await shell.type('text2img models pull owner/demo', {
      prints: /\/snapshots\/\w+\n$/,
      says: /^owner\/demo: (\d+) of \1 MB, [\d.]+ MB\/s, [\d.]+ s$/m,
    });
  });

  test('19: on a terminal of 80 columns a bar has rate and time left, and no row is longer', {
    skip: NO_TERMINAL,
  }, async () => {
    const [python, option, program, columns] = onTerminalOf(80);
    const line = `${python} ${option} "$PROGRAM" ${columns} text2img generate "a red circle" --steps 60 -o bar.png`;
    const { stdout } = await shell.type(line, {}, { PROGRAM: program ?? '', TERM: 'xterm' });
    const rows = stdout
      .replaceAll(ESCAPES, '')
      .split(/[\r\n]+/)
      .filter((row) => /^image .*\d+\/60/.test(row));
    assert.ok(rows.length > 1 && rows.every((row) => row.length < 80), stdout);
    assert.match(rows.join('\n'), /, [\d.]+ (?:it\/s|s\/it), ETA [\d.]+ s$/m);
  });
}

/** Waits until it has printed this, and stops it as an operator does. */
export async function stopWorker(shell: Shell, worker: ReturnType<Shell['start']>, printed: RegExp): Promise<void> {
  const isEnded = worker.ended.then(() => true);
  while (!printed.test(worker.output()) && !(await Promise.race([isEnded, sleep(100, false)])));
  assert.match(worker.output(), printed);
  process.kill(await pidOfWorker(shell), 'SIGTERM');
  assert.equal((await worker.ended).code, 0, worker.output());
}

/** As an operator finds it. */
async function pidOfWorker(shell: Shell, file = ''): Promise<number> {
  const startMs = performance.now();
  for (;;) {
    assert.ok(performance.now() - startMs < PATIENCE_MS, 'no worker runs');
    const { output, ended } = shell.start(`text2img health --json ${file}`);
    const { code } = await ended;
    const [report] = jsonLines(output(), 'health');
    const workers = (report?.['workers'] ?? [report]) as { readonly pid?: number; readonly state?: string }[];
    if (code === 0 && workers[0]?.state === 'running' && workers[0].pid !== undefined) return workers[0].pid;
    await sleep(100);
  }
}
