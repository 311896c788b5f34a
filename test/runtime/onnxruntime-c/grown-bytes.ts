/** How much the memory of a process grows while it does something many times through the C API. `repeat-child.ts` does it. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export type Repeated = 'runs' | 'kept outputs' | 'failures' | 'cancelled runs' | 'openings' | 'captured runs';

/** Of `RssAnon`, after as many times to begin with as arenas and heaps need. */
export async function grownBytes(what: Repeated, times: number): Promise<number> {
  const program = fileURLToPath(new URL('repeat-child.ts', import.meta.url));
  const { stdout, stderr, status } = spawnSync(process.execPath, ['--expose-gc', program, what, String(times)], {
    encoding: 'utf8',
  });
  assert.equal(status, 0, stderr);
  return Number(stdout);
}
