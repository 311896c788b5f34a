/** A step's process may end in any way: the command learns how, and keeps the rows that came before. */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { type Ending, runStep } from '../../bench/gpu/run-step.ts';
import type { Row, Step, StepTask } from '../../bench/gpu/step.ts';

const workFolder = mkdtempSync(join(tmpdir(), 'text2img-run-step-'));
after(() => rmSync(workFolder, { recursive: true, force: true }));

/** Their command lines. */
function processesNaming(word: string): readonly string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((name) => {
      try {
        return readFileSync(`/proc/${name}/cmdline`, 'utf8');
      } catch {
        return '';
      }
    })
    .filter((line) => line.includes(word));
}

async function ending(task: StepTask, limitSeconds = 300): Promise<Ending & { readonly rows: readonly Row[] }> {
  const step: Step = { id: 'x', part: 'a', about: 'x', needsSeconds: 1, task };
  const rows: Row[] = [];
  const ended = await runStep(step, {
    surroundings: { device: 'cpu', isTiny: true, workFolder },
    environment: process.env,
    limitSeconds,
    onRow: (row) => rows.push(row),
  });
  return { ...ended, rows };
}

test('a step that works is done, with its rows', async () => {
  const { state, rows } = await ending({ kind: 'addition' });
  assert.equal(state, 'done');
  assert.deepEqual(
    rows.map(({ what }) => what),
    ['load and add in float32', 'load and add in float16'],
  );
});

test('a step that takes too long is killed, with all that it started', async () => {
  const { state, reason } = await ending({ kind: 'worker', model: 'sd15', steps: 1000, batchSize: 8, starts: 1 }, 5);
  assert.deepEqual({ state, reason }, { state: 'failed', reason: 'it was stopped after 5 s' });
  // An engine ends by itself when it sees that its worker is gone.
  while (processesNaming(workFolder).length > 0) await new Promise((resolve) => setTimeout(resolve, 50));
});

test('a step that fails says why', async () => {
  const portable = { computeType: 'float32', form: 'portable', runtime: 'onnxruntime' } as const;
  const { state, reason } = await ending({ kind: 'golden', ...portable, cases: '../no' });
  assert.equal(state, 'failed');
  assert.match(reason ?? '', /^its process ended with 1: .*no such file/);
});

test('a task that no step does fails', async () => {
  const { state, reason } = await ending({ kind: 'nothing' } as unknown as StepTask);
  assert.equal(state, 'failed');
  assert.match(reason ?? '', /its process ended with 1: Error: there is no step/);
});
