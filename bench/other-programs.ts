/** How much of the processor other programs used while something was measured. */
import { readFileSync } from 'node:fs';
import { cpus } from 'node:os';

/** Of /proc/self/stat (man 5 proc): `sysconf(_SC_CLK_TCK)` is 100 on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;
/** utime, stime, cutime and cstime, counted behind the program's name. */
const TIMES = [11, 12, 13, 14];

interface Usage {
  readonly wallSeconds: number;
  /** Of all processors. */
  readonly busySeconds: number;
  /** Of this process and of its children that have ended. */
  readonly ownSeconds: number;
}

function usageNow(): Usage | undefined {
  const own = ownSeconds();
  if (own === undefined) return undefined;
  const busyMs = cpus().flatMap(({ times: { user, nice, sys, irq } }) => [user, nice, sys, irq]);
  return {
    wallSeconds: performance.now() / 1000,
    busySeconds: busyMs.reduce((sum, ms) => sum + ms, 0) / 1000,
    ownSeconds: own,
  };
}

function ownSeconds(): number | undefined {
  try {
    const stat = readFileSync('/proc/self/stat', 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return TIMES.reduce((sum, index) => sum + Number(fields[index]), 0) / TICKS_PER_SECOND;
  } catch {
    return undefined;
  }
}

/**
 * Begins to watch. @returns what ends it: the processors that other programs kept busy meanwhile, on average; undefined where the system does not tell.
 * It must be called when the children that were measured have ended.
 */
export function watchOthers(): () => number | undefined {
  const before = usageNow();
  return () => {
    const after = usageNow();
    if (before === undefined || after === undefined) return undefined;
    const busy = after.busySeconds - before.busySeconds - (after.ownSeconds - before.ownSeconds);
    return Math.max(0, Math.round((100 * busy) / (after.wallSeconds - before.wallSeconds)) / 100);
  };
}
