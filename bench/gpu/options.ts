/** The options of `npm run bench:gpu`. */
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { BENCH_FOLDER } from '../checkpoints.ts';
import type { ModelName } from './models.ts';

export interface GpuOptions {
  readonly device: string;
  readonly isTiny: boolean;
  readonly libraries: string | undefined;
  readonly python: string | undefined;
  readonly workFolder: string;
  /** Absent: beside the other results, under the GPU's name. */
  readonly output: string | undefined;
  /** Infinity: no limit. */
  readonly minutes: number;
  /** Absent: all steps. */
  readonly only: readonly string[] | undefined;
  readonly models: readonly ModelName[];
  /** Absent: each model's own. */
  readonly batches: readonly number[] | undefined;
  /** `some`, `all`, or names with commas. */
  readonly golden: string;
  readonly steps: number;
  readonly list: boolean;
  /** Writes a pack and measures nothing. */
  readonly pack: string | undefined;
  /** The pack has NVIDIA's libraries too, not only ONNX Runtime's provider. */
  readonly packLibraries: 'none' | 'provider' | 'all';
  /** Like 90: the provider in the pack has the code for this compute capability only. */
  readonly packArchitecture: number | undefined;
  /** Of the largest part. */
  readonly packPartBytes: number;
}

const MODELS: readonly ModelName[] = ['sd15', 'sdxl'];
const PACKED = ['none', 'provider', 'all'] as const;
const TINY_STEPS = '2';
const STEPS = '20';
const MEGABYTE = 1_000_000;
const LARGEST_PART_MB = 60;

/** @throws a sentence about an option that is wrong */
export function readOptions(args: readonly string[]): GpuOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      device: { type: 'string', default: 'cuda:0' },
      tiny: { type: 'boolean', default: false },
      libraries: { type: 'string' },
      python: { type: 'string' },
      work: { type: 'string' },
      output: { type: 'string' },
      minutes: { type: 'string' },
      only: { type: 'string' },
      models: { type: 'string', default: MODELS.join() },
      batches: { type: 'string' },
      golden: { type: 'string', default: 'some' },
      steps: { type: 'string' },
      list: { type: 'boolean', default: false },
      pack: { type: 'string' },
      'pack-libraries': { type: 'string', default: 'provider' },
      'pack-capability': { type: 'string' },
      'pack-part-mb': { type: 'string', default: String(LARGEST_PART_MB) },
    },
  });
  return {
    device: deviceOf(values.device),
    isTiny: values.tiny,
    libraries: values.libraries,
    python: values.python,
    workFolder: values.work ?? (values.tiny ? join(tmpdir(), 'text2img-bench-gpu') : join(BENCH_FOLDER, 'gpu')),
    output: values.output,
    minutes: values.minutes === undefined ? Infinity : positive('--minutes', values.minutes),
    only: values.only?.split(','),
    models: listed('--models', values.models, MODELS),
    batches: values.batches?.split(',').map((batch) => whole('--batches', batch)),
    golden: values.golden,
    steps: whole('--steps', values.steps ?? (values.tiny ? TINY_STEPS : STEPS)),
    list: values.list,
    pack: values.pack,
    packArchitecture: capabilityOf(values['pack-capability']),
    packPartBytes: partBytes(values['pack-part-mb']),
    packLibraries: oneOf('--pack-libraries', values['pack-libraries'], PACKED),
  };
}

function deviceOf(text: string): string {
  const device = text === 'cuda' ? 'cuda:0' : text;
  if (device !== 'cpu' && !/^cuda:\d{1,3}$/.test(device))
    throw new Error(`--device is ${JSON.stringify(text)}; allowed are cuda, cuda:N and cpu`);
  return device;
}

/** 9.0 → 90 */
function capabilityOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const [, major, minor] = /^(\d{1,2})\.(\d)$/.exec(text) ?? [];
  if (major === undefined)
    throw new Error(`--pack-capability is ${JSON.stringify(text)}; it takes a compute capability such as 9.0`);
  return Number(major) * 10 + Number(minor);
}

function partBytes(text: string): number {
  const megabytes = whole('--pack-part-mb', text);
  if (megabytes > LARGEST_PART_MB)
    throw new Error(`--pack-part-mb is ${JSON.stringify(text)}; it takes whole numbers from 1 to ${LARGEST_PART_MB}`);
  return megabytes * MEGABYTE;
}

function positive(flag: string, text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new Error(`${flag} is ${JSON.stringify(text)}; it takes a number above 0`);
  return value;
}

function whole(flag: string, text: string): number {
  const value = positive(flag, text);
  if (!Number.isInteger(value)) throw new Error(`${flag} is ${JSON.stringify(text)}; it takes whole numbers from 1 on`);
  return value;
}

function oneOf<Word extends string>(flag: string, text: string, allowed: readonly Word[]): Word {
  const found = allowed.find((word) => word === text);
  if (found === undefined) throw new Error(`${flag} is ${JSON.stringify(text)}; allowed are ${allowed.join(', ')}`);
  return found;
}

function listed<Word extends string>(flag: string, text: string, allowed: readonly Word[]): readonly Word[] {
  return text.split(',').map((word) => oneOf(flag, word, allowed));
}
