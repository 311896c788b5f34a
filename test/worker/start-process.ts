/** A worker in a process of its own, for tests that kill it. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { TestContext } from 'node:test';
import type { WorkerEvent } from '../../src/worker/worker-contract.ts';
import type { Place } from './place.ts';

const PROCESS = fileURLToPath(new URL('worker-process.ts', import.meta.url));

export interface WorkerProcess {
  readonly child: ChildProcess;
  readonly events: (WorkerEvent & { readonly owner: string })[];
  readonly ended: Promise<number | null>;
  /** Resolves with the first event of the type. */
  saw(type: WorkerEvent['type']): Promise<void>;
}

export function startProcess(
  t: TestContext,
  { folder }: Pick<Place, 'folder'>,
  options: { readonly owner: string; readonly leaseMs: number; readonly until?: string },
): WorkerProcess {
  const child = spawn(
    process.execPath,
    [PROCESS, folder, options.owner, String(options.leaseMs), options.until ?? 'drained'],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  t.after(() => child.kill('SIGKILL'));
  const events: WorkerProcess['events'] = [];
  createInterface({ input: child.stdout }).on('line', (line) => events.push(JSON.parse(line)));
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  const saw = async (type: WorkerEvent['type']): Promise<void> => {
    while (!events.some((event) => event.type === type)) {
      assert.equal(child.exitCode, null, `the worker ended before "${type}": ${JSON.stringify(events)}`);
      await sleep(5);
    }
  };
  return { child, events, ended, saw };
}
