/** Names this machine's processor with its abilities, as far as speed and compiled networks depend on them. */
import { existsSync, readFileSync } from 'node:fs';
import { cpus } from 'node:os';

/** The layouts that runtimes choose depend on the instruction sets, and so does which of them is faster. */
export function processorIdentity(): string {
  const flags = existsSync('/proc/cpuinfo')
    ? (/^flags\s*:.*$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[0] ?? '')
    : '';
  return `${process.arch}\n${cpus()[0]?.model ?? ''}\n${flags}\n`;
}
