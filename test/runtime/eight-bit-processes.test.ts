/** A process that is killed while it writes 8-bit weights into the compile cache: the next one makes the entry. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const place = await mkdtemp(join(tmpdir(), 'text2img-eight-bit-processes-'));
after(() => rm(place, { recursive: true, force: true }));
const program = fileURLToPath(new URL('open-many-weights.ts', import.meta.url));
const ENTRY = /^[0-9a-f]{32}$/;

/** Opens many layers of 8-bit weights through the cache, in a process of its own. */
function open(folder: string): {
  readonly told: Promise<string>;
  readonly kill: () => void;
  readonly ended: Promise<unknown>;
} {
  const child = spawn(process.execPath, [program, folder, 'F16', join(folder, 'cache'), 'int8'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  after(() => child.kill('SIGKILL'));
  child.stdin.on('error', () => undefined);
  child.stdin.end('go');
  return { told: text(child.stdout), kill: () => void child.kill('SIGKILL'), ended: once(child, 'exit') };
}

const namesIn = async (folder: string): Promise<string[]> =>
  (await readdir(folder).catch(() => [])).filter((name) => name !== 'weights-digests');

/** @returns whether it was killed while the weights lay in a draft */
async function killWhileItWrites(folder: string): Promise<boolean> {
  const { kill, ended } = open(folder);
  let isEnded = false;
  void ended.then(() => (isEnded = true));
  const look = (): Promise<string[]> => readdir(join(folder, 'cache'), { recursive: true }).catch(() => []);
  while (!isEnded && !(await look()).some((name) => /draft-.*widened-weights\.bin$/.test(name))) await sleep(1);
  kill();
  await ended;
  return !(await namesIn(join(folder, 'cache'))).some((name) => ENTRY.test(name));
}

test('a writer that is killed among its 8-bit weights leaves no entry, and the next one makes it', async () => {
  let folder = '';
  let isKilled = false;
  // On a busy machine the writer may be faster than its killer.
  for (let round = 0; round < 20 && !isKilled; round++) {
    folder = join(place, String(round));
    isKilled = await killWhileItWrites(folder);
  }
  assert.ok(isKilled, 'none of 20 writers could be killed before it had ended');
  assert.equal(await open(folder).told, 'ready\ndone\n');
  const names = await namesIn(join(folder, 'cache'));
  assert.deepEqual([names.length, ENTRY.test(names[0] as string)], [1, true], names.join());
  assert.equal(await open(folder).told, 'ready\ndone\n');
});
