/**
 * Keeps this process on some of the machine's logical processors, with `taskset`, because Node has no call for it. Threads that start later stay there
 * too. ONNX Runtime could only place the threads of its own pool, and not the one that starts a pass (`session.intra_op_thread_affinities`).
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { allowedCpuList } from '../../lib/cpu-shares.ts';
import { messageOf, systemCode } from '../../lib/disk-errors.ts';
import { excerpt } from '../../lib/foreign-text.ts';

const run = promisify(execFile);
const PATIENCE_MS = 10_000;
const SAID_LENGTH = 200;

/** @param cpus as `taskset -c` takes them @returns why it cannot be done; undefined: it is @throws never */
export async function keepToCpus(cpus: string): Promise<string | undefined> {
  let problem = 'the system did not do it';
  try {
    // `-a`: also the threads that run already.
    await run('taskset', ['-a', '-c', '-p', cpus, String(process.pid)], { timeout: PATIENCE_MS });
  } catch (error) {
    problem =
      systemCode(error) === 'ENOENT' ? 'there is no program taskset' : excerpt(messageOf(error).trim(), SAID_LENGTH);
  }
  // An old BusyBox knows no `-a`, and a thread may end while it is looked for: what counts is where this thread may run.
  return allowedCpuList() === cpus ? undefined : problem;
}
