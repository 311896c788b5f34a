/** bench/results/: one JSON file a machine, which the benchmark writes and `scripts/bench-table.ts` reads. A new measurement replaces the one before it. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { arch, availableParallelism, cpus, platform, totalmem } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Contestant, Report, TaskName } from './compare.ts';
import type { ShapeName } from './unet-shapes.ts';

export const RESULTS_FOLDER = fileURLToPath(new URL('results', import.meta.url));

/** Those that decide which kernels a runtime takes. */
const INSTRUCTION_SETS = ['avx2', 'avx512f', 'avx512_vnni', 'avx512_bf16', 'amx_bf16', 'asimd', 'bf16'];

interface Machine {
  readonly processor: string;
  /** Its family and model, because several have the same name. */
  readonly processorModel: string;
  readonly threads: number;
  readonly instructionSets: readonly string[];
  readonly memoryGB: number;
  readonly platform: string;
}

export type Measurement = Report & {
  readonly program: string;
  readonly variant: string;
  readonly task: TaskName;
  readonly shape: ShapeName;
  /** Of an image. */
  readonly steps?: number;
  readonly date: string;
  /** Processors that other programs kept busy meanwhile, on average; absent where nobody looked. */
  readonly otherCores?: number;
};

export interface Results {
  readonly machine: Machine;
  /** The best matrix product, GFLOP/s. */
  readonly gemmGflops?: number;
  readonly measurements: readonly Measurement[];
}

export function thisMachine(): Machine {
  const text = existsSync('/proc/cpuinfo') ? readFileSync('/proc/cpuinfo', 'utf8') : '';
  const entry = (key: string): string => new RegExp(`^${key}\\s*:\\s*(.*)$`, 'mi').exec(text)?.[1]?.trim() ?? '';
  const flags = new Set(`${entry('flags')} ${entry('Features')}`.split(' '));
  return {
    processor: cpus()[0]?.model.trim() ?? 'unknown',
    processorModel: [entry('cpu family'), entry('model')].filter((part) => part !== '').join('-'),
    threads: availableParallelism(),
    instructionSets: INSTRUCTION_SETS.filter((name) => flags.has(name)),
    memoryGB: Math.round(totalmem() / 2 ** 30),
    platform: `${platform()} ${arch()}`,
  };
}

function pathFor({ processor, processorModel, threads }: Machine, folder: string): string {
  const name = `${processor} ${processorModel} ${threads} threads`.toLowerCase();
  return join(folder, `${name.replaceAll(/[^a-z0-9]+/g, '-').replaceAll(/^-|-$/g, '')}.json`);
}

/** Reads this machine's file, changes it and writes it. @returns its path */
function change(changed: (before: Results) => Results, folder = RESULTS_FOLDER): string {
  const machine = thisMachine();
  const path = pathFor(machine, folder);
  const before = existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as Results) : { machine, measurements: [] };
  mkdirSync(folder, { recursive: true });
  writeFileSync(path, `${JSON.stringify({ ...changed(before), machine }, null, 2)}\n`);
  return path;
}

export const keepGemm = (gemmGflops: number): string => change((before) => ({ ...before, gemmGflops }));

export interface Taken {
  readonly contestant: Contestant;
  readonly task: TaskName;
  readonly shape: ShapeName;
  readonly steps: number;
  readonly otherCores: number | undefined;
  readonly report: Report;
}

export function keep({ contestant, task, shape, steps, otherCores, report }: Taken): string {
  const { program, variant, versions } = contestant;
  const measurement: Measurement = {
    program,
    variant,
    task,
    shape,
    ...(task === 'image' ? { steps } : {}),
    date: new Date().toISOString().slice(0, 10),
    ...(otherCores === undefined ? {} : { otherCores }),
    ...(versions === undefined ? {} : { versions }),
    ...report,
  };
  const isSame = (other: Measurement): boolean =>
    other.program === program && other.variant === variant && other.task === task && other.shape === shape;
  return change((before) => ({
    ...before,
    measurements: [...before.measurements.filter((other) => !isSame(other)), measurement],
  }));
}
