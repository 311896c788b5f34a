/** The memory of this process that belongs to no file: what it has allocated and touched. Source: the kernel's Documentation/filesystems/proc.rst. */
import { readFileSync } from 'node:fs';

/** undefined where the system does not say: outside Linux. */
export function anonymousBytes(): number | undefined {
  try {
    const found = /^RssAnon:\s*(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
    return found === undefined ? undefined : Number(found) * 1024;
  } catch {
    return undefined;
  }
}
