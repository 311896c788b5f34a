/** Which process a health file belongs to, so that a file that outlives its worker is not taken for a living one. */
import { readlinkSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { isRecord, own } from '../lib/foreign-record.ts';
import { isPrivateFolder, makePrivateFolder, privateFolderFor } from '../lib/private-folder.ts';

/** As the health file has it. */
export interface HealthWorker {
  readonly pid: number;
  readonly host: string;
  /** Two containers may have one host name, and each its own pid 1. null: this system has no such spaces. */
  readonly pid_namespace: string | null;
}

const DEFAULT_NAME = /^worker-\d{1,10}\.json$/;

export function thisWorker(): HealthWorker {
  return { pid: process.pid, host: hostname(), pid_namespace: ownNamespace() };
}

/** The worker in a file's content; undefined for a file of an older version, or of something else. */
export function workerIn(content: unknown): HealthWorker | undefined {
  if (!isRecord(content)) return undefined;
  const [pid, host, namespace] = [own(content, 'pid'), own(content, 'host'), own(content, 'pid_namespace')];
  if (typeof pid !== 'number' || !Number.isSafeInteger(pid) || pid <= 0 || typeof host !== 'string') return undefined;
  return { pid, host, pid_namespace: typeof namespace === 'string' ? namespace : null };
}

export function isThisWorker(worker: HealthWorker | undefined): boolean {
  return worker !== undefined && worker.pid === process.pid && isHere(worker);
}

/** Surely: a process of another machine or container cannot be looked at from here. */
export function hasEnded(worker: HealthWorker): boolean {
  if (!isHere(worker)) return false;
  try {
    process.kill(worker.pid, 0);
    return false;
  } catch (error) {
    // EPERM: it is there, and another user's.
    return error instanceof Error && 'code' in error && error.code === 'ESRCH';
  }
}

/** The health file of a worker that was given no other name; undefined where this user may have none. */
export function defaultHealthFile(): string | undefined {
  const folder = defaultHealthFolder();
  return makePrivateFolder(folder) ? join(folder, `worker-${process.pid}.json`) : undefined;
}

export function defaultHealthFolder(): string {
  return privateFolderFor('health');
}

/** Nobody else can have put a file into it. */
export function isDefaultHealthFile(name: string): boolean {
  return DEFAULT_NAME.test(name);
}

export function mayTrustHealthFolder(): boolean {
  return isPrivateFolder(defaultHealthFolder());
}

function isHere({ host, pid_namespace }: HealthWorker): boolean {
  return host === hostname() && pid_namespace === ownNamespace();
}

function ownNamespace(): string | null {
  try {
    return readlinkSync('/proc/self/ns/pid');
  } catch {
    return null;
  }
}
