/**
 * Reads what `nvidia-smi` says about the GPUs of this machine. It is the driver's own program, so it is there wherever CUDA works. Its answer is foreign
 * text: each number may be missing, `[N/A]`, `[Insufficient Permissions]` (MIG in a container) or nonsense.
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { systemCode } from '../../lib/disk-errors.ts';
import { excerpt } from '../../lib/foreign-text.ts';
import { omitUndefined } from '../../lib/omit-undefined.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

export interface NvidiaGpu {
  /** In nvidia-smi's order, which is the order of the PCI bus. */
  readonly index: number;
  readonly uuid: string;
  readonly name: string;
  readonly memoryBytes?: number;
  readonly freeBytes?: number;
  /** `8.6` */
  readonly computeCapability?: number;
  /** `580.65.06` */
  readonly driver?: string;
  /** The GPU is cut into instances, each with a part of its memory. */
  readonly isMig?: boolean;
  /** The driver keeps the GPU ready while no program uses it. */
  readonly isPersistent?: boolean;
  /** Errors of its memory that could not be corrected, since the driver was loaded. */
  readonly uncorrectedErrors?: number;
}

export type GpuList =
  | { readonly state: 'listed'; readonly gpus: readonly NvidiaGpu[] }
  /** There is no such program. */
  | { readonly state: 'absent' }
  /** It ran, and said this. */
  | { readonly state: 'failed'; readonly text: string };

const run = promisify(execFile);
const TIMEOUT_MS = 20_000;
const MOST_BYTES = 1_000_000;
const MOST_GPUS = 64;
const SAID_LENGTH = 300;
const MIB = 2 ** 20;

/** The name comes last, because it is the one that might have a comma. */
const FIELDS = [
  'index',
  'uuid',
  'memory.total',
  'memory.free',
  'driver_version',
  'compute_cap',
  'mig.mode.current',
  'persistence_mode',
  'ecc.errors.uncorrected.volatile.total',
  'name',
] as const;
/** Those that drivers before 470 know. */
const OLD_FIELDS = ['index', 'uuid', 'memory.total', 'memory.free', 'driver_version', 'name'] as const;

type Field = (typeof FIELDS)[number];
const FORMAT = '--format=csv,noheader,nounits';

const MEMORY_FIELDS = [
  'index',
  'uuid',
  'memory.total',
  'memory.free',
  'mig.mode.current',
  'name',
] as const satisfies readonly Field[];
/** Parameters of `nvidia-smi`: what `parseMemory` reads. */
export const MEMORY_QUERY = [`--query-gpu=${MEMORY_FIELDS.join(',')}`, FORMAT] as const;

export function parseMemory(csv: string): NvidiaGpu[] {
  return parseGpus(csv, MEMORY_FIELDS);
}

/** @throws never */
export async function listGpus(environment: Environment): Promise<GpuList> {
  const list = await query(FIELDS, environment);
  return list.state === 'failed' && /not a valid field/i.test(list.text) ? await query(OLD_FIELDS, environment) : list;
}

async function query(fields: readonly Field[], environment: Environment): Promise<GpuList> {
  const answer = await ask([`--query-gpu=${fields.join(',')}`, FORMAT], environment);
  if (answer.state !== 'said') return answer;
  const gpus = parseGpus(answer.text, fields);
  if (gpus.length > 0) return { state: 'listed', gpus };
  return { state: 'failed', text: answer.text.trim() === '' ? 'No devices were found' : answer.text };
}

/** The newest CUDA that the driver can run, like `13.0`; undefined where it does not say. @throws never */
export async function driverCudaVersion(environment: Environment): Promise<string | undefined> {
  const answer = await ask([], environment);
  return answer.state === 'said' ? /CUDA(?: UMD)? Version\s*:\s*(\d{1,3}\.\d{1,3})/.exec(answer.text)?.[1] : undefined;
}

type Answer = { readonly state: 'said'; readonly text: string } | Exclude<GpuList, { readonly state: 'listed' }>;

async function ask(parameters: readonly string[], environment: Environment): Promise<Answer> {
  try {
    const options = { timeout: TIMEOUT_MS, maxBuffer: MOST_BYTES, env: { ...environment } };
    return { state: 'said', text: (await run('nvidia-smi', parameters, options)).stdout };
  } catch (error) {
    const code = systemCode(error);
    if (code === 'ENOENT' || code === 'EACCES' || code === 'ENOTDIR') return { state: 'absent' };
    const { stdout, stderr, killed, message } = error as Error &
      Partial<Record<'stdout' | 'stderr', string>> & { killed?: boolean };
    if (killed === true) return { state: 'failed', text: 'nvidia-smi did not answer' };
    // It writes its own errors to standard output, and NVML's to either.
    const said = `${stdout ?? ''}\n${stderr ?? ''}`.trim();
    return { state: 'failed', text: excerpt(said === '' ? message : said.replaceAll(/\s+/g, ' '), SAID_LENGTH) };
  }
}

/** Lines that are none of a GPU are left out. */
export function parseGpus(csv: string, fields: readonly string[] = FIELDS): NvidiaGpu[] {
  const lines = csv.slice(0, MOST_BYTES).split('\n').slice(0, MOST_GPUS);
  return lines.flatMap((line) => {
    const cells = line.split(',').map((cell) => cell.trim());
    const last = fields.length - 1;
    const values = new Map(
      fields.map((field, index) => [field, index === last ? cells.slice(last).join(', ') : cells[index]]),
    );
    const [index, uuid, name] = [whole(values.get('index')), values.get('uuid'), values.get('name')];
    if (index === undefined || uuid === undefined || name === undefined || name === '' || /[^\w-]/.test(uuid))
      return [];
    const [memoryMib, freeMib] = [whole(values.get('memory.total')), whole(values.get('memory.free'))];
    return [
      {
        index,
        uuid,
        name: excerpt(name, NAME_LENGTH),
        ...omitUndefined({
          memoryBytes: memoryMib === undefined ? undefined : memoryMib * MIB,
          freeBytes: freeMib === undefined ? undefined : freeMib * MIB,
          computeCapability: matching(values.get('compute_cap'), /^\d{1,2}\.\d$/, Number),
          driver: matching(values.get('driver_version'), /^\d{1,4}(?:\.\d{1,4}){0,3}$/, String),
          isMig: switchOf(values.get('mig.mode.current')),
          isPersistent: switchOf(values.get('persistence_mode')),
          uncorrectedErrors: whole(values.get('ecc.errors.uncorrected.volatile.total')),
        }),
      },
    ];
  });
}

const NAME_LENGTH = 80;

/** Up to a petabyte in MiB. */
function whole(text: string | undefined): number | undefined {
  return matching(text, /^\d{1,9}$/, Number);
}

function switchOf(text: string | undefined): boolean | undefined {
  return matching(text, /^(?:Enabled|Disabled)$/, (value) => value === 'Enabled');
}

function matching<T>(text: string | undefined, pattern: RegExp, read: (text: string) => T): T | undefined {
  return text !== undefined && pattern.test(text) ? read(text) : undefined;
}
