/**
 * Divides the logical processors that this process may use among several processes. Threads of one physical core stay together, then cores that share a
 * cache, then those of one socket. Sources: proc_pid_status(5), the kernel's Documentation/admin-guide/cputopology.rst, taskset(1) for the lists.
 */
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';

export interface CpuShare {
  /** As `taskset -c` takes them: `0-3,8`. Undefined: the system does not say which ones this process may use. */
  readonly cpus: string | undefined;
  /** At least one. */
  readonly threads: number;
}

export interface CpuMachine {
  /** Where the system's own files begin; tests give a folder of their own. */
  readonly root?: string;
  /** How many threads are worth it: a container's quota may allow fewer than there are processors. */
  readonly available?: number;
}

/** @param parts from 1 to `available` */
export function shareCpus(
  parts: number,
  { root = '/', available = availableParallelism() }: CpuMachine = {},
): CpuShare[] {
  const allowed = allowedCpus(root);
  const even = Math.max(1, Math.floor(available / parts));
  const indexes = Array.from({ length: parts }, (_, index) => index);
  if (allowed.length < parts) return indexes.map(() => ({ cpus: undefined, threads: even }));
  const cores = physicalCores(allowed, root);
  // More parts than physical cores: the threads of a core are parted.
  const units = cores.length >= parts ? cores : cores.flat().map((cpu) => [cpu]);
  return indexes.map((index) => {
    const cpus = units.slice(cut(units.length, index, parts), cut(units.length, index + 1, parts)).flat();
    return { cpus: cpuList(cpus), threads: available < allowed.length ? even : cpus.length };
  });
}

/** Where part `index` begins. */
function cut(length: number, index: number, parts: number): number {
  return Math.floor((length * index) / parts);
}

/** The logical processors that this process may use, in a list as the kernel writes them; undefined where the system does not say. */
export function allowedCpuList(root = '/'): string | undefined {
  return /^Cpus_allowed_list:\s*([\d,-]+)$/m.exec(read(join(root, 'proc/self/status')) ?? '')?.[1];
}

function allowedCpus(root: string): number[] {
  return (allowedCpuList(root) ?? '')
    .split(',')
    .filter((range) => range !== '')
    .flatMap((range) => {
      const [first = 0, last = first] = range.split('-').map(Number);
      return Array.from({ length: last - first + 1 }, (_, index) => first + index);
    });
}

/** The logical processors of each physical core, neighbours beside each other. */
function physicalCores(cpus: readonly number[], root: string): number[][] {
  const cores = new Map<string, { readonly place: readonly number[]; readonly cpus: number[] }>();
  for (const cpu of cpus) {
    const place = placeOf(cpu, root);
    const core = cores.get(place.join());
    if (core === undefined) cores.set(place.join(), { place, cpus: [cpu] });
    else core.cpus.push(cpu);
  }
  return Array.from(cores.values())
    .toSorted((a, b) => compare(a.place, b.place))
    .map((core) => core.cpus);
}

/** Socket, cache and core, each but the socket by the first processor that it has; by number alone where the system does not say. */
function placeOf(cpu: number, root: string): readonly number[] {
  const folder = join(root, 'sys/devices/system/cpu', `cpu${cpu}`);
  const socket = firstNumber(read(join(folder, 'topology/physical_package_id'))) ?? 0;
  const cache = firstNumber(read(join(folder, 'cache/index3/shared_cpu_list'))) ?? 0;
  const core = firstNumber(read(join(folder, 'topology/thread_siblings_list'))) ?? cpu;
  return [socket, cache, core];
}

function compare(a: readonly number[], b: readonly number[]): number {
  const index = a.findIndex((value, at) => value !== b[at]);
  return index < 0 ? 0 : (a[index] ?? 0) - (b[index] ?? 0);
}

function firstNumber(text: string | undefined): number | undefined {
  const digits = /^\d+/.exec(text ?? '')?.[0];
  return digits === undefined ? undefined : Number(digits);
}

/** `[0, 1, 2, 8]` → `0-2,8`. */
function cpuList(cpus: readonly number[]): string {
  const ranges: { first: number; last: number }[] = [];
  for (const cpu of cpus.toSorted((a, b) => a - b)) {
    const range = ranges.at(-1);
    if (range !== undefined && range.last === cpu - 1) range.last = cpu;
    else ranges.push({ first: cpu, last: cpu });
  }
  return ranges.map(({ first, last }) => (first === last ? `${first}` : `${first}-${last}`)).join(',');
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return undefined;
  }
}
