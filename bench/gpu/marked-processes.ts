/** Ends all processes of a step, whoever started them: they have a mark in their environment. A session of their own would outlive the command. */
import { readdirSync, readFileSync } from 'node:fs';

export const MARK = 'BENCH_GPU_STEP';

export function killMarked(value: string): void {
  for (const name of readdirSync('/proc'))
    if (/^\d+$/.test(name) && Number(name) !== process.pid && environmentOf(name).includes(`${MARK}=${value}`))
      kill(name);
}

function environmentOf(pid: string): readonly string[] {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
  } catch {
    // It has ended, or belongs to somebody else.
    return [];
  }
}

function kill(pid: string): void {
  try {
    process.kill(Number(pid), 'SIGKILL');
  } catch {
    // It has ended meanwhile.
  }
}
