/** The division of the logical processors, on machines that are laid out as folders of the kernel's files. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { allowedCpuList, type CpuMachine, shareCpus } from '../../src/lib/cpu-shares.ts';

interface Layout {
  /** As `Cpus_allowed_list` says it. */
  readonly allowed: string;
  readonly siblings?: (cpu: number) => string;
  readonly cache?: (cpu: number) => string;
  readonly socket?: (cpu: number) => number;
}

function machine(t: TestContext, { allowed, siblings, cache, socket }: Layout, cpus = 64): CpuMachine['root'] & string {
  const root = mkdtempSync(join(tmpdir(), 'text2img-cpus-'));
  t.after(() => rmSync(root, { recursive: true }));
  const write = (path: string, text: string): void => {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), `${text}\n`);
  };
  write('proc/self/status', `Name:\tnode\nCpus_allowed:\tff\nCpus_allowed_list:\t${allowed}\nMems_allowed_list:\t0`);
  for (let cpu = 0; cpu < cpus; cpu++) {
    const folder = `sys/devices/system/cpu/cpu${cpu}`;
    if (siblings !== undefined) write(`${folder}/topology/thread_siblings_list`, siblings(cpu));
    if (cache !== undefined) write(`${folder}/cache/index3/shared_cpu_list`, cache(cpu));
    if (socket !== undefined) write(`${folder}/topology/physical_package_id`, String(socket(cpu)));
  }
  return root;
}

const lists = (parts: number, options: CpuMachine): string[] =>
  shareCpus(parts, options).map(({ cpus, threads }) => `${cpus} × ${threads}`);

test('both threads of a physical core go to the same engine, whatever their numbers are', (t) => {
  const root = machine(t, { allowed: '0-7', siblings: (cpu) => `${cpu % 4},${(cpu % 4) + 4}` });
  assert.deepEqual(lists(2, { root, available: 8 }), ['0-1,4-5 × 4', '2-3,6-7 × 4']);
  assert.deepEqual(lists(4, { root, available: 8 }), ['0,4 × 2', '1,5 × 2', '2,6 × 2', '3,7 × 2']);
});

test('cores that share a cache stay together, and sockets are cut last', (t) => {
  // Two sockets of two caches each, numbered alternately as some machines do.
  const root = machine(t, {
    allowed: '0-7',
    siblings: String,
    socket: (cpu) => cpu % 2,
    cache: (cpu) => String(cpu % 4),
  });
  assert.deepEqual(lists(2, { root, available: 8 }), ['0,2,4,6 × 4', '1,3,5,7 × 4']);
  assert.deepEqual(lists(4, { root, available: 8 }), ['0,4 × 2', '2,6 × 2', '1,5 × 2', '3,7 × 2']);
});

test('what does not divide evenly is spread: nobody goes without, and no core has two engines', (t) => {
  const root = machine(t, { allowed: '0-7', siblings: String });
  assert.deepEqual(lists(3, { root, available: 8 }), ['0-1 × 2', '2-4 × 3', '5-7 × 3']);
});

test('more engines than physical cores part the threads of a core', (t) => {
  const root = machine(t, { allowed: '0-3', siblings: (cpu) => (cpu < 2 ? '0-1' : '2-3') });
  assert.deepEqual(lists(4, { root, available: 4 }), ['0 × 1', '1 × 1', '2 × 1', '3 × 1']);
});

test('only the processors that a container may use are shared', (t) => {
  const root = machine(t, { allowed: '2,5-6,60', siblings: String });
  assert.equal(allowedCpuList(root), '2,5-6,60');
  assert.deepEqual(lists(2, { root, available: 4 }), ['2,5 × 2', '6,60 × 2']);
});

test('a quota below the number of processors bounds the threads, not the processors', (t) => {
  const root = machine(t, { allowed: '0-63', siblings: String });
  assert.deepEqual(lists(2, { root, available: 4 }), ['0-31 × 2', '32-63 × 2']);
  assert.deepEqual(lists(3, { root, available: 4 }).at(-1), '42-63 × 1');
});

test('where the system says nothing each engine has its number of threads and no processors of its own', (t) => {
  const root = machine(t, { allowed: 'what' });
  assert.deepEqual(shareCpus(2, { root, available: 8 }), [
    { cpus: undefined, threads: 4 },
    { cpus: undefined, threads: 4 },
  ]);
  const plain = machine(t, { allowed: '0-3' }, 0);
  assert.deepEqual(lists(2, { root: plain, available: 4 }), ['0-1 × 2', '2-3 × 2'], 'by number without a topology');
});
