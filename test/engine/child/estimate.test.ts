/** The estimate of what runs take, compared with what they take: real networks at several sizes, each in a process of its own. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const program = fileURLToPath(new URL('take-memory.ts', import.meta.url));
const demo = fileURLToPath(new URL('../../../models/demo', import.meta.url));

interface Taken {
  readonly estimatedBytes: number;
  /** What the process grew by in two runs. */
  readonly takenBytes: number;
}

async function take(component: string, ...sizes: readonly string[]): Promise<Taken[]> {
  const { stdout } = await run(process.execPath, ['--expose-gc', program, demo, component, ...sizes]);
  return JSON.parse(stdout) as Taken[];
}

/** An upper estimate may be this many times what is taken, beside its constant part. Measured: 1.2 to 2.2. */
const MOST_TIMES = 4;
const CONSTANT_BYTES = 16 * 2 ** 20;

const CASES = [
  // More rows of the same size, then more latents. Smaller runs fit into what opening the network left over.
  ['unet', ['1x64x64', '2x64x64', '2x96x128']],
  ['vae', ['1x16x16', '1x24x40', '1x48x48']],
] as const;

for (const [component, sizes] of CASES)
  test(`runs of ${component} take at most the estimate, and the estimate is at most ${MOST_TIMES} times that, at every size and batch`, {
    skip: existsSync('/proc/self/status') ? false : 'NOT TESTED: memory of runs; this system has no /proc',
  }, async () => {
    const perSize = await Promise.all(sizes.map((size) => take(component, size)));
    for (const [index, [taken]] of perSize.entries()) {
      const { estimatedBytes = 0, takenBytes = 0 } = taken ?? {};
      const said = `${sizes[index]}: estimated ${estimatedBytes}, taken ${takenBytes}`;
      assert.ok(takenBytes <= estimatedBytes, said);
      assert.ok(estimatedBytes - CONSTANT_BYTES <= MOST_TIMES * takenBytes, said);
    }
    const estimates = perSize.map(([taken]) => taken?.estimatedBytes ?? 0);
    assert.deepEqual(
      estimates,
      estimates.toSorted((a, b) => a - b),
      'larger runs are estimated as larger',
    );
  });
