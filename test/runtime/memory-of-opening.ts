/** Memory that `open-many-weights.ts` and `open-many-convolutions.ts` take, and what becomes of it where there is too little. */
import assert from 'node:assert/strict';
import { type ChildProcessByStdio, spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import type { ComputeType } from '../../src/onnx/compute-type.ts';
import type { WeightType } from '../../src/onnx/weight-type.ts';

/** 48 weights of 2^20 numbers in float32. */
const MANY_WEIGHTS_BYTES = 48 * 4 * 2 ** 20;

/** For `skip` of a test. */
export const NO_PEAKS = existsSync('/proc/self/status')
  ? false
  : 'NOT TESTED: peak memory of loading; this system has no /proc';

interface Opening {
  /** For the weights and the compile cache. */
  readonly folder: string;
  /** Of the weights. */
  readonly dtype: string;
  readonly weightType?: WeightType;
  /** Absent: ONNX Runtime in float32. */
  readonly openvino?: { readonly libraries: string; readonly computeType: ComputeType };
  /** Convolutions in the order that CUDA wants, from a file or turned in memory. Absent: matrices. */
  readonly convolutions?: 'file' | 'memory';
}

type Child = ChildProcessByStdio<Writable, Readable, null>;

async function startOpening(opening: Opening): Promise<Child> {
  const { folder, dtype, weightType = 'float', openvino, convolutions } = opening;
  const cache = join(folder, 'cache');
  const runtime = openvino === undefined ? [] : [openvino.libraries, openvino.computeType];
  const [program, what] =
    convolutions === undefined
      ? [new URL('open-many-weights.ts', import.meta.url), [folder, dtype, cache, weightType, ...runtime]]
      : [new URL('open-many-convolutions.ts', import.meta.url), [folder, cache, convolutions]];
  const child = spawn(process.execPath, [fileURLToPath(program), ...what], { stdio: ['pipe', 'pipe', 'inherit'] });
  await new Promise((resolve) => child.stdout.once('data', resolve));
  return child;
}

function statusBytes(child: Child, key: 'RssAnon' | 'VmSize'): number {
  try {
    const status = readFileSync(`/proc/${child.pid}/status`, 'utf8');
    return 1024 * Number(new RegExp(`^${key}:\\s*(\\d+) kB$`, 'm').exec(status)?.[1] ?? 0);
  } catch {
    return 0;
  }
}

/** Peak of the memory that is no file's, above what the process had before it opened the network; in units of the weights in float32. */
export async function peakOfOpening(opening: Opening): Promise<number> {
  const child = await startOpening(opening);
  const exit = new Promise((resolve) => child.once('exit', resolve));
  const before = statusBytes(child, 'RssAnon');
  let [peak, told] = [0, ''];
  child.stdout.on('data', (text: Buffer) => (told += text.toString()));
  child.stdin.end('go');
  while (told === '' && child.exitCode === null) {
    peak = Math.max(peak, statusBytes(child, 'RssAnon'));
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  assert.equal(await exit, 0);
  assert.equal(told, 'done\n');
  return (peak - before) / MANY_WEIGHTS_BYTES;
}

/** What it tells where it may take so many more bytes of addresses; undefined where this machine cannot set such a limit. */
export async function openingWithin(bytes: number, opening: Opening): Promise<string | undefined> {
  const child = await startOpening(opening);
  const limit = `--as=${statusBytes(child, 'VmSize') + bytes}:unlimited`;
  const isLimited = spawnSync('prlimit', ['--pid', String(child.pid), limit]).status === 0;
  let told = '';
  child.stdout.on('data', (text: Buffer) => (told += text.toString()));
  child.stdin.end('go');
  await new Promise((resolve) => child.once('close', resolve));
  return isLimited ? told.trim() : undefined;
}
