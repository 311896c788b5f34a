/** Free memory, read from the kernel's files as they are in containers and outside of them. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { totalmem, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { freeMemoryBytes, freeMemoryForAllBytes } from '../../src/lib/free-memory.ts';

const place = await mkdtemp(join(tmpdir(), 'text2img-memory-'));
after(() => rm(place, { recursive: true, force: true }));

let machines = 0;

async function machine(files: Readonly<Record<string, string>>): Promise<string> {
  const root = join(place, String(machines++));
  const all = { 'proc/meminfo': 'MemTotal:  9000 kB\nMemAvailable:    8000 kB\n', ...files };
  for (const [path, text] of Object.entries(all)) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), text);
  }
  return root;
}

const KB = 1024;

test('outside of containers it is what the system has available', async () => {
  assert.equal(freeMemoryBytes(await machine({})), 8000 * KB);
  const here = freeMemoryBytes();
  assert.ok(here === undefined ? process.platform !== 'linux' : here > 0 && here <= totalmem());
});

test('a system that says nothing has no number, instead of a wrong one', () => {
  assert.equal(freeMemoryBytes(join(place, 'nothing-there')), undefined);
});

test('the limit that the process was started with counts, less what it has allocated', async () => {
  const limited = {
    'proc/self/limits':
      'Limit                     Soft Limit           Hard Limit           Units\nMax data size             6144000              unlimited            bytes\n',
    'proc/self/status': 'Name:\tnode\nVmData:\t    2000 kB\n',
  };
  assert.equal(freeMemoryBytes(await machine(limited)), 4000 * KB);
  assert.equal(freeMemoryForAllBytes(await machine(limited)), 8000 * KB, 'another process has such a limit of its own');
  const unlimited = limited['proc/self/limits'].replace('6144000  ', 'unlimited');
  assert.equal(freeMemoryBytes(await machine({ ...limited, 'proc/self/limits': unlimited })), 8000 * KB);
});

test('a control group’s limit counts, less what it uses, and cached files count as free', async () => {
  const group = {
    'proc/self/cgroup': '0::/\n',
    'sys/fs/cgroup/memory.max': `${5000 * KB}\n`,
    'sys/fs/cgroup/memory.current': `${4000 * KB}\n`,
    'sys/fs/cgroup/memory.stat': `anon ${1000 * KB}\nfile ${3000 * KB}\ninactive_file ${1500 * KB}\nactive_file ${500 * KB}\n`,
  };
  assert.equal(freeMemoryBytes(await machine(group)), 3000 * KB);
  assert.equal(freeMemoryBytes(await machine({ ...group, 'sys/fs/cgroup/memory.max': 'max\n' })), 8000 * KB);
});

test('the tightest of the groups above counts, and a group that is over its limit leaves nothing', async () => {
  const groups = {
    'proc/self/cgroup': '0::/pod/container\n',
    'sys/fs/cgroup/pod/memory.max': `${2000 * KB}`,
    'sys/fs/cgroup/pod/memory.current': `${500 * KB}`,
    'sys/fs/cgroup/pod/container/memory.max': `${3000 * KB}`,
    'sys/fs/cgroup/pod/container/memory.current': `${100 * KB}`,
  };
  assert.equal(freeMemoryBytes(await machine(groups)), 1500 * KB);
  assert.equal(freeMemoryBytes(await machine({ ...groups, 'sys/fs/cgroup/pod/memory.max': '1' })), 0);
});

test('the first version of control groups is read, where no limit is a huge number', async () => {
  const group = {
    'proc/self/cgroup': '12:cpu,cpuacct:/a\n5:memory:/docker/abc\n',
    'sys/fs/cgroup/memory/memory.limit_in_bytes': `${6000 * KB}`,
    'sys/fs/cgroup/memory/memory.usage_in_bytes': `${4000 * KB}`,
    'sys/fs/cgroup/memory/memory.stat': `total_inactive_file ${1000 * KB}\n`,
  };
  assert.equal(freeMemoryBytes(await machine(group)), 3000 * KB);
  const unlimited = { ...group, 'sys/fs/cgroup/memory/memory.limit_in_bytes': '9223372036854771712' };
  assert.equal(freeMemoryBytes(await machine(unlimited)), 8000 * KB);
});
