/**
 * Whole passes of a UNet of full shape with weights of floating-point numbers and of 8 bits, on each runtime: seconds, memory, and how far the predicted
 * noise is from ONNX Runtime's in float32. Each form runs in a process of its own, out of a compile cache that was filled before. Prints one JSON line a
 * form, with the load of the machine. docs/decisions/eight-bit-weights.md has the figures.
 * Usage: eight-bit-pass.ts sd15|sdxl OPENVINO_FOLDER|- CACHE_FOLDER PASSES [FORM …]
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { BENCH_FOLDER } from './checkpoints.ts';
import { isShapeName, makeUnet } from './unet-shapes.ts';

interface Form {
  readonly type: 'float32' | 'bfloat16';
  readonly weights: 'float' | 'int8';
  readonly isOpenvino: boolean;
}

const FORMS: Readonly<Record<string, Form>> = {
  'onnxruntime float': { type: 'float32', weights: 'float', isOpenvino: false },
  'onnxruntime int8': { type: 'float32', weights: 'int8', isOpenvino: false },
  'openvino float': { type: 'float32', weights: 'float', isOpenvino: true },
  'openvino int8': { type: 'float32', weights: 'int8', isOpenvino: true },
  'openvino bfloat16 float': { type: 'bfloat16', weights: 'float', isOpenvino: true },
  'openvino bfloat16 int8': { type: 'bfloat16', weights: 'int8', isOpenvino: true },
};

const [shape = '', libraries = '-', cache = '', passes = '3', ...wanted] = process.argv.slice(2);
if (!isShapeName(shape)) throw new Error(`no shape ${shape}`);
const unet = await makeUnet(shape, BENCH_FOLDER);
const outputs = mkdtempSync(join(tmpdir(), 'eight-bit-pass-'));
try {
  const names = Object.keys(FORMS).filter((name) => wanted.length === 0 || wanted.includes(name));
  for (const name of names) {
    const form = FORMS[name] as Form;
    if (form.isOpenvino && libraries === '-') continue;
    const file = join(outputs, name.replaceAll(' ', '-'));
    // The first process fills the cache.
    const first = pass(form, '0', file);
    const report = pass(form, passes, file);
    print({
      shape,
      form: name,
      passSeconds: round(report.passSeconds),
      cpuSeconds: round(report.cpuSeconds),
      anonymousMb: mb(report.anonymousBytes),
      residentMb: mb(report.residentBytes),
      firstPeakMb: mb(first.peakBytes),
      firstLoadSeconds: round(first.loadSeconds),
      loadSeconds: round(report.loadSeconds),
      weightsMb: mb(report.weightBytes),
      error: errorOf(file),
      load: loadavg().map(round),
    });
  }
} finally {
  rmSync(outputs, { recursive: true, force: true });
}

interface Report {
  readonly passSeconds: number;
  /** Of all threads; other programs on the machine change it less than the time that passes. */
  readonly cpuSeconds: number;
  readonly loadSeconds: number;
  readonly anonymousBytes: number;
  readonly residentBytes: number;
  readonly peakBytes: number;
  readonly weightBytes: number;
}

function pass({ type, weights, isOpenvino }: Form, count: string, output: string): Report {
  const program = join(import.meta.dirname, 'unet-pass.ts');
  const args = [program, shape, unet, cache, '2', count, type, isOpenvino ? libraries : '-', weights, output];
  return JSON.parse(
    execFileSync(process.execPath, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] }),
  ) as Report;
}

/** Root mean square of the differences, as a share of the expected numbers' own. */
function errorOf(file: string): number | undefined {
  const values = floatsIn(file);
  const expected = floatsIn(join(outputs, 'onnxruntime-float'));
  if (values === undefined || expected === undefined) return undefined;
  let [squares, norm] = [0, 0];
  for (const [index, value] of expected.entries()) {
    squares += (value - (values[index] as number)) ** 2;
    norm += value ** 2;
  }
  return Number(Math.sqrt(squares / norm).toPrecision(2));
}

function floatsIn(file: string): Float32Array | undefined {
  try {
    return new Float32Array(Uint8Array.from(readFileSync(file)).buffer);
  } catch {
    return undefined;
  }
}

function round(value: number): number {
  return Number(value.toFixed(2));
}

function mb(bytes: number): number {
  return Math.round(bytes / 1e6);
}

function print(record: Readonly<Record<string, unknown>>): void {
  process.stdout.write(`${JSON.stringify(record)}\n`);
}
