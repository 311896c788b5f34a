/** The steps of `npm run bench:gpu` in their order. What is found out first is worth most if the time runs out. */
import { benchModel, type ModelName } from './models.ts';
import type { GpuOptions } from './options.ts';
import type { GraphForm } from '../../src/onnx/graph-form.ts';
import type { Step } from './step.ts';

const FORMS: readonly GraphForm[] = ['portable', 'fused'];
/** Of passes. Through the worker a batch is as large as the fifth. */
const BATCHES = [1, 2, 4, 8, 16, 32];
const TINY_BATCHES = [1, 2];
/** PyTorch compiles for each size anew, which takes a minute or more. A batch of 2 is one picture with guidance. */
const COMPILED_BATCHES = [2];
/** One image with guidance, and eight. */
const PROFILED_BATCHES = [2, 16];
const WORKER_BATCH = 8;
const TINY_WORKER_BATCH = 2;
/** The second one finds its weights in the compile cache. */
const STARTS = 2;
/** Published times of one picture of XL are mostly for 30 steps. */
const SINGLE_STEPS = 30;

/** Without TensorFloat-32 a float32 result is comparable with the CPU's. */
const WITHOUT_TF32 = { NVIDIA_TF32_OVERRIDE: '0' };

/** Guesses for a fast GPU, generous: a step with less time left is not begun. XL has about four times the work of SD 1.5. */
const NEEDS = {
  addition: 20,
  golden: 60,
  profile: { sd15: 30, sdxl: 60 },
  sample: 20,
  kernels: { sd15: 60, sdxl: 90 },
  layers: 40,
  weights: { sd15: 10, sdxl: 30 },
  unet: { sd15: 90, sdxl: 180 },
  vae: { sd15: 20, sdxl: 30 },
  worker: { sd15: 60, sdxl: 120 },
  runtimeC: { sd15: 60, sdxl: 120 },
  options: { sd15: 60, sdxl: 120 },
  eager: { sd15: 60, sdxl: 120 },
  compiled: { sd15: 120, sdxl: 240 },
  differences: 5,
};

type PlanOptions = Pick<GpuOptions, 'models' | 'batches' | 'golden' | 'steps' | 'isTiny'>;

/** @throws a sentence about a word of `only` that is the beginning of no step's id */
export function planSteps(options: PlanOptions & Pick<GpuOptions, 'only'>): readonly Step[] {
  const steps = [...firstSteps(options), ...options.models.flatMap((model) => modelSteps(model, options))];
  const { only } = options;
  if (only === undefined) return steps;
  const wrong = only.find((word) => !steps.some(({ id }) => id.startsWith(word)));
  if (wrong !== undefined)
    throw new Error(
      `--only has ${JSON.stringify(wrong)}, and no step begins so; there are ${steps.map(({ id }) => id).join(', ')}`,
    );
  return steps.filter(({ id }) => only.some((word) => id.startsWith(word)));
}

function firstSteps({ golden: cases }: PlanOptions): readonly Step[] {
  return [
    {
      id: 'load',
      part: 'a',
      about: 'load the provider and add two numbers',
      needsSeconds: NEEDS.addition,
      task: { kind: 'addition' },
    },
    {
      id: 'golden-float32',
      part: 'b',
      about: 'float32 without TF32',
      needsSeconds: NEEDS.golden,
      task: { kind: 'golden', computeType: 'float32', form: 'portable', runtime: 'onnxruntime', cases },
      environment: WITHOUT_TF32,
    },
    {
      id: 'golden-float16',
      part: 'b',
      about: 'float16',
      needsSeconds: NEEDS.golden,
      task: { kind: 'golden', computeType: 'float16', form: 'portable', runtime: 'onnxruntime', cases },
    },
    {
      id: 'golden-fused',
      part: 'b',
      about: 'float16, fused form',
      needsSeconds: NEEDS.golden,
      task: { kind: 'golden', computeType: 'float16', form: 'fused', runtime: 'onnxruntime', cases },
    },
    {
      id: 'golden-c-api',
      part: 'b',
      about: 'float16 through onnxruntime-c, in the form that it takes by itself',
      needsSeconds: NEEDS.golden,
      task: { kind: 'golden', computeType: 'float16', form: 'auto', runtime: 'onnxruntime-c', cases },
    },
    {
      id: 'sample',
      part: 'b',
      about: 'the sample that an engine tries before it takes the fused form',
      needsSeconds: NEEDS.sample,
      task: { kind: 'sample' },
    },
    {
      id: 'golden-deterministic',
      part: 'b',
      about: 'as with --deterministic: float32 through onnxruntime-c, TF32 off by its own option',
      needsSeconds: NEEDS.golden,
      task: {
        kind: 'golden',
        computeType: 'float32',
        form: 'portable',
        runtime: 'onnxruntime-c',
        deterministic: true,
        cases,
      },
    },
  ];
}

function modelSteps(model: ModelName, { batches, steps, isTiny }: PlanOptions): readonly Step[] {
  const { about } = benchModel(model, isTiny);
  const passes = batches ?? (isTiny ? TINY_BATCHES : BATCHES);
  const batchSize = isTiny ? TINY_WORKER_BATCH : WORKER_BATCH;
  const torch = (id: string, isCompiled: boolean): Step => ({
    id: `torch-${model}-${id}`,
    part: 'i',
    about: `${about}: UNet in float16, PyTorch ${id}`,
    needsSeconds: NEEDS[isCompiled ? 'compiled' : 'eager'][model],
    task: { kind: 'torch', model, isCompiled, batches: isCompiled ? COMPILED_BATCHES : passes },
  });
  return [
    {
      id: `weights-${model}`,
      part: 'c',
      about: `${about}: make random weights`,
      needsSeconds: NEEDS.weights[model],
      task: { kind: 'weights', model },
    },
    ...FORMS.map(
      (form): Step => ({
        id: `profile-${model}-${form}`,
        part: 'c',
        about: `${about}: profile of a UNet pass, ${form}`,
        needsSeconds: NEEDS.profile[model],
        task: { kind: 'profile', model, form },
      }),
    ),
    ...PROFILED_BATCHES.map(
      (batch): Step => ({
        id: `kernels-${model}-${batch}`,
        part: 'c',
        about: `${about}: kernels of a UNet pass, fused, batch ${batch}`,
        needsSeconds: NEEDS.kernels[model],
        task: { kind: 'kernels', model, form: 'fused', batch },
      }),
    ),
    ...(model === 'sd15' ? [LAYERS] : []),
    ...FORMS.map(
      (form): Step => ({
        id: `unet-${model}-${form}`,
        part: 'f',
        about: `${about}: UNet in float16, ${form}`,
        needsSeconds: NEEDS.unet[model],
        task: { kind: 'unet', model, form, batches: passes },
      }),
    ),
    ...FORMS.map(
      (form): Step => ({
        id: `vae-${model}-${form}`,
        part: 'f',
        about: `${about}: decode an image, ${form}`,
        needsSeconds: NEEDS.vae[model],
        task: { kind: 'vae', model, form },
      }),
    ),
    {
      id: `worker-${model}`,
      part: 'f',
      about: `${about}: batches`,
      needsSeconds: NEEDS.worker[model],
      task: { kind: 'worker', model, steps, batchSize, starts: STARTS },
    },
    {
      id: `single-${model}`,
      part: 'f',
      about: `${about}: one at a time`,
      needsSeconds: NEEDS.worker[model],
      task: { kind: 'worker', model, steps: isTiny ? 2 : SINGLE_STEPS, batchSize: 1, starts: 1 },
    },
    ...FORMS.map(
      (form): Step => ({
        id: `runtime-c-${model}-${form}`,
        part: 'g',
        about: `${about}: UNet in float16 through onnxruntime-c, ${form}`,
        needsSeconds: NEEDS.runtimeC[model],
        task: { kind: 'runtime-c', model, form, batches: passes },
      }),
    ),
    {
      id: `options-${model}`,
      part: 'g',
      about: `${about}: the fused form with other options of the CUDA provider, one image with guidance`,
      needsSeconds: NEEDS.options[model],
      task: { kind: 'options', model },
    },
    torch('eager', false),
    torch('compiled', true),
    {
      id: `differences-${model}`,
      part: 'i',
      about: `${about}: differences between the results of one pass`,
      needsSeconds: NEEDS.differences,
      task: { kind: 'differences', model },
    },
  ];
}

const LAYERS: Step = {
  id: 'layers',
  part: 'd',
  about: 'single layers of SD 1.5 in both forms, batch 2',
  needsSeconds: NEEDS.layers,
  task: { kind: 'layers' },
};
