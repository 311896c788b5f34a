/**
 * How much memory this process may still take: of the system, of each control group, and of its own limit. Files that are only cached count as free.
 * Source: the kernel's Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/memory.rst; getrlimit(2).
 */
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/**
 * @param root where the system's own files begin; tests give a folder of their own
 * @returns undefined where the system does not say it. Outside Linux Node's `freemem` counts cached files as used, or says nothing of the process.
 */
export function freeMemoryBytes(root = '/'): number | undefined {
  return known(Math.min(freeForAll(root), freeInLimit(root)));
}

/** For this process and others of its groups together, so the limit of this process alone does not count. */
export function freeMemoryForAllBytes(root = '/'): number | undefined {
  return known(freeForAll(root));
}

function known(bytes: number): number | undefined {
  return bytes === Infinity ? undefined : Math.max(0, bytes);
}

function freeForAll(root: string): number {
  const system = kilobytes(read(join(root, 'proc/meminfo')), 'MemAvailable');
  return Math.min(system ?? Infinity, ...groupsOf(root).map(freeInGroup));
}

/** `ulimit -d`, or systemd's `LimitDATA`. It counts allocated memory also where nobody touched it yet. */
function freeInLimit(root: string): number {
  const limits = read(join(root, 'proc/self/limits')) ?? '';
  const limit = /^Max data size\s+(\d+)\s/m.exec(limits)?.[1];
  if (limit === undefined) return Infinity;
  return Number(limit) - (kilobytes(read(join(root, 'proc/self/status')), 'VmData') ?? 0);
}

interface Group {
  readonly folder: string;
  readonly limit: string;
  readonly usage: string;
  /** The key of `memory.stat` with the bytes of files that can be dropped at once. */
  readonly cached: readonly string[];
}

/** The group of this process and all above it, each with a limit of its own. */
function groupsOf(root: string): Group[] {
  const lines = (read(join(root, 'proc/self/cgroup')) ?? '').split('\n').map((line) => line.split(':'));
  return lines.flatMap(([, controllers, path]) => {
    if (path === undefined) return [];
    if (controllers === '') return foldersOf(join(root, 'sys/fs/cgroup'), path).map(version2);
    if (controllers?.split(',').includes('memory') !== true) return [];
    return foldersOf(join(root, 'sys/fs/cgroup/memory'), path).map(version1);
  });
}

/** A container often sees its own group as the root, although its path outside is longer. */
function foldersOf(top: string, path: string): string[] {
  const folders = [top];
  for (let folder = join(top, path); folder.length > top.length; folder = dirname(folder)) folders.push(folder);
  return folders;
}

function version2(folder: string): Group {
  return { folder, limit: 'memory.max', usage: 'memory.current', cached: ['inactive_file', 'active_file'] };
}

function version1(folder: string): Group {
  return {
    folder,
    limit: 'memory.limit_in_bytes',
    usage: 'memory.usage_in_bytes',
    cached: ['total_inactive_file', 'total_active_file'],
  };
}

/** Infinity where the group has no limit. */
function freeInGroup({ folder, limit, usage, cached }: Group): number {
  const max = Number(read(join(folder, limit)) ?? Number.NaN);
  const used = Number(read(join(folder, usage)) ?? Number.NaN);
  if (!Number.isFinite(max) || !Number.isFinite(used)) return Infinity;
  const statistics = read(join(folder, 'memory.stat')) ?? '';
  const files = cached.map((key) => Number(new RegExp(`^${key} (\\d+)$`, 'm').exec(statistics)?.[1] ?? 0));
  return max - used + files.reduce((sum, bytes) => sum + bytes, 0);
}

function kilobytes(text: string | undefined, key: string): number | undefined {
  const found = new RegExp(`^${key}:\\s*(\\d+) kB$`, 'm').exec(text ?? '')?.[1];
  return found === undefined ? undefined : Number(found) * 1024;
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return undefined;
  }
}
