/** (b) Pictures of the golden cases on the device, beside the pictures of diffusers in float32 on a CPU. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { decode } from 'fast-png';
import type { ComputeType } from '../../../src/onnx/graph.ts';
import type { GraphForm } from '../../../src/onnx/graph-form.ts';
import type { Runtime } from '../../../src/runtime/contract.ts';
import { onnxRuntimeC } from '../../../src/runtime/onnxruntime-c/onnxruntime-c.ts';
import { CASE_NAMES, drawCase, readCase } from '../../../test/pipelines/stable-diffusion/golden-cases.ts';
import { differenceOf, secondsOf } from '../measure.ts';
import { BINDING } from '../open-graph.ts';
import { type Report, StepEnds, type TaskOf } from '../step.ts';

const GOLDEN = fileURLToPath(new URL('../../../test/golden', import.meta.url));
/** The numbers of a pixel go from 0 to 255. */
const PIXEL_RANGE = 255;
/** One of each kind: families, schedulers, an odd size, and a feature that is computed in every third pass only. */
const SOME = [
  'plain',
  'sd2-plain',
  'xl-plain',
  'lcm-defaults',
  'four-images',
  'size-odd',
  'scheduler-dpmpp-2m-karras',
  'deep-cache-heun-3',
];

/** @throws the failure of the first case that fails; those before it are reported */
export async function goldenStep(task: TaskOf<'golden'>, report: Report): Promise<void> {
  const { device, computeType, cases, form, deterministic = false } = task;
  if (form === 'fused' && device === 'cpu') throw new StepEnds('not-run', 'the CPU has no fused operators');
  const runtime = answering(task.runtime === 'onnxruntime' ? BINDING : onnxRuntimeC(), task);
  const names = cases === 'all' ? CASE_NAMES : cases === 'some' ? SOME : cases.split(',');
  for (const name of names) {
    let pixels: Pixels = { actual: Buffer.alloc(0), expected: Buffer.alloc(0) };
    const seconds = await secondsOf(async () => {
      const graphForm = form === 'portable' ? form : 'auto';
      pixels = await draw(name, runtime, { dtype: computeType, graphForm, deterministic });
    });
    // The numbers would be another runtime's.
    if (runtime.opened() === 0) throw new Error('no network was opened on the runtime that this step is about');
    report({ what: name, ...differenceOf(pixels.actual, pixels.expected, PIXEL_RANGE), seconds });
  }
}

/** Of all images of a case. */
interface Pixels {
  readonly actual: Buffer;
  readonly expected: Buffer;
}

/** With this name the engine takes the runtime that chose the device, which is the given one. With none it would look for the fastest by itself. */
const PREFERRED = { runtime: 'onnxruntime' } as const;

interface AnsweringRuntime extends Runtime {
  /** Networks so far. */
  readonly opened: () => number;
}

interface GoldenSettings {
  readonly dtype: ComputeType;
  readonly graphForm: 'auto' | 'portable';
  readonly deterministic: boolean;
}

async function draw(name: string, runtime: Runtime, settings: GoldenSettings): Promise<Pixels> {
  // Some GPU: the runtime answers with the device that it means.
  const { images } = await drawCase(name, { runtime, settings: { device: 'cuda:0', ...PREFERRED, ...settings } });
  const files = readCase(name).expected.map((file) => readFileSync(join(GOLDEN, name, file)));
  return {
    actual: Buffer.concat(images.map(({ image }) => image.pixels)),
    expected: Buffer.concat(files.map((file) => Uint8Array.from(decode(file).data))),
  };
}

/**
 * The runtime with the answer that the first step had from the device. Otherwise every case would ask again, in a process of its own. For the same
 * reason a CPU is said to compute in float16 here: its graphs run, in float32.
 */
function answering(runtime: Runtime, { device, computeType, form }: TaskOf<'golden'>): AnsweringRuntime {
  const kind = device === 'cpu' ? 'cpu' : 'gpu';
  const wanted: GraphForm | undefined = form === 'auto' ? runtime.graphForm?.(device) : form;
  let opened = 0;
  return {
    ...runtime,
    opened: () => opened,
    open: async (graph, options) => {
      opened++;
      return await runtime.open(graph, options);
    },
    devices: () => Promise.resolve([{ device, kind, computeTypes: [computeType] }]),
    graphForm: () => wanted ?? 'portable',
  };
}
