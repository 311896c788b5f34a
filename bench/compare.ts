/** What the benchmark compares, and how one measurement is taken: each in a process of its own, so that neither memory nor threads are shared. */
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import type { ComputeType } from '../src/onnx/graph.ts';
import { OPENVINO_VERSION } from '../src/runtime/openvino/release.ts';
import { VERSION } from '../src/version.ts';
import { benchRuntimes } from './runtimes.ts';
import type { ShapeName } from './unet-shapes.ts';

/** `pass`: the UNet once, one image, no guidance. `image`: prompt to pixels with guidance, the VAE included. */
export type TaskName = 'pass' | 'image';

export interface Task {
  readonly task: TaskName;
  readonly shape: ShapeName;
  readonly computeType: ComputeType;
  readonly threads: number;
  /** Repetitions. */
  readonly count: number;
  readonly steps: number;
  /** Width and height of the image. */
  readonly sizePx: number;
  /** One file in the original layout. */
  readonly checkpoint: string;
  /** CLIP's vocabulary, for those that bring none. */
  readonly tokenizer: string;
  readonly prompt: string;
  readonly negativePrompt: string;
  readonly guidanceScale: number;
  /** Of text2img: one whole pass in so many steps. */
  readonly deepCache?: number;
}

export interface Contestant {
  readonly program: string;
  /** What the table calls it beside the program: `float32, compiled`. */
  readonly variant: string;
  readonly computeType: ComputeType;
  /** Known before anything runs: why it cannot be measured here. */
  readonly missing?: string;
  readonly versions?: Readonly<Record<string, string>>;
  readonly command: readonly string[];
  /** Absent: all. */
  readonly task?: TaskName;
  /** Beside the task. */
  readonly more?: Readonly<Record<string, unknown>>;
}

export type Report = (
  | { readonly missing: string }
  | { readonly seconds: readonly number[]; readonly loadSeconds: number; readonly peakBytes?: number }
) & { readonly versions?: Readonly<Record<string, string>> };

/** The row with feature caching: one whole pass in three steps. */
const DEEP_CACHE = 3;

const here = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

/** @param python an interpreter that has the rivals' packages; absent: the rivals are missing */
export async function contestants(python: string | undefined): Promise<readonly Contestant[]> {
  return [...(await ownContestants()), ...rivals(python)];
}

async function ownContestants(): Promise<Contestant[]> {
  const found: Contestant[] = [];
  const runtimeNames: Readonly<Record<string, string>> = { onnxruntime: 'ONNX Runtime', openvino: 'OpenVINO' };
  for (const runtime of benchRuntimes()) {
    const [report] = await runtime.devices({ only: 'cpu' });
    const own = {
      program: 'text2img',
      command: [process.execPath, here('own.ts')],
      more: { runtime: runtime.name },
      versions: { text2img: VERSION, ...runtimeVersion(runtime.name) },
    };
    const name = runtimeNames[runtime.name] ?? runtime.name;
    // Float16 is storage on a CPU: nothing computes in it.
    const types = report?.computeTypes.filter((type) => type !== 'float16') ?? [];
    for (const computeType of types) {
      const one = { ...own, variant: `${name}, ${computeType}`, computeType };
      found.push(one, {
        ...one,
        variant: `${one.variant}, --deep-cache ${DEEP_CACHE}`,
        task: 'image',
        more: { ...own.more, deepCache: DEEP_CACHE },
      });
    }
    if (types.length > 0) continue;
    const missing = report?.problem ?? 'it has no CPU';
    found.push({ ...own, variant: name, computeType: 'float32', missing });
  }
  return found;
}

function runtimeVersion(name: string): Readonly<Record<string, string>> {
  if (name === 'openvino') return { openvino: OPENVINO_VERSION };
  const manifest = createRequire(import.meta.url)('onnxruntime-node/package.json') as { readonly version: string };
  return { 'onnxruntime-node': manifest.version };
}

function rivals(python: string | undefined): Contestant[] {
  const rival = (program: string, file: string, rest: Omit<Contestant, 'program' | 'command'>): Contestant => ({
    program,
    ...(python === undefined ? { missing: 'no Python was named (--python)' } : {}),
    command: [python ?? '', here(`rivals/${file}_rival.py`)],
    ...rest,
  });
  return [
    rival('diffusers', 'diffusers', { variant: 'float32', computeType: 'float32' }),
    rival('diffusers', 'diffusers', {
      variant: 'float32, compiled',
      computeType: 'float32',
      more: { isCompiled: true },
    }),
    rival('diffusers', 'diffusers', { variant: 'bfloat16', computeType: 'bfloat16' }),
    rival('OpenVINO GenAI', 'openvino', { variant: 'float32', computeType: 'float32' }),
    rival('OpenVINO GenAI', 'openvino', { variant: 'bfloat16', computeType: 'bfloat16' }),
    rival('stable-diffusion.cpp', 'stable_diffusion_cpp', {
      variant: 'float16 weights',
      computeType: 'float32',
    }),
  ];
}

/** A contestant that fails is missing, with the last line that it wrote: the others go on. */
export function measure({ command, missing, more, computeType }: Contestant, task: Omit<Task, 'computeType'>): Report {
  if (missing !== undefined) return { missing };
  const [program = '', ...args] = command;
  const { status, stdout, stderr, error } = spawnSync(
    program,
    [...args, JSON.stringify({ ...task, computeType, ...more })],
    { encoding: 'utf8', maxBuffer: 2 ** 28 },
  );
  if (error !== undefined) return { missing: error.message };
  const line = stdout.trim().split('\n').at(-1) ?? '';
  if (status !== 0) return { missing: `it failed: ${stderr.trim().split('\n').at(-1)?.slice(0, 200) ?? ''}` };
  return JSON.parse(line) as Report;
}
