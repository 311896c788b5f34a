/**
 * How much images of the demo checkpoint change with a UNet of 8-bit weights, one scale for each output channel. Each form generates the same images, which
 * are compared with those of float32. Forms: products alone rounded, convolutions too, and ONNX Runtime's product that rounds its activations as well.
 * docs/decisions/eight-bit-weights.md has the figures. Usage: eight-bit-images.ts IMAGES [FORM]
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadModel } from '../src/engine/child/load-model.ts';
import type { BuiltGraph } from '../src/onnx/graph.ts';
import {
  decodeModel,
  encodeModel,
  type ModelProto,
  type NodeProto,
  type TensorProto,
} from '../src/onnx/onnx-schema.ts';
import { FAMILIES } from '../src/pipelines/registry.ts';
import { runJobs } from '../src/pipelines/run-jobs.ts';
import type { Runtime } from '../src/runtime/contract.ts';
import { DEFAULT_RUNTIME } from '../src/runtime/registry.ts';
import { cpuSettings } from '../test/engine/cpu-settings.ts';
import { aRequest } from '../test/job/a-request.ts';
import { quantise } from './eight-bit-layers.ts';

type Form = 'float32' | 'products' | 'products and convolutions' | 'packed products, rounded activations';

const FLOAT32 = 1;
const UINT8 = 2;
/** Inputs that share a scale in ONNX Runtime's product; every width of the demo's layers is a multiple. */
const BLOCK = 32;

const demo = fileURLToPath(new URL('../models/demo', import.meta.url));
const count = Number(process.argv[2] ?? '4');
const expected = await generate('float32');
const FORMS = ['products', 'products and convolutions', 'packed products, rounded activations'] as const;
for (const form of process.argv[3] === undefined ? FORMS : FORMS.filter((one) => one === process.argv[3]))
  process.stdout.write(`${JSON.stringify({ form, ...difference(await generate(form), expected) })}\n`);

async function generate(form: Form): Promise<Uint8Array[]> {
  await using model = await loadModel(cpuSettings(demo), FAMILIES, [roundingRuntime(form)]);
  const images: Uint8Array[] = [];
  const jobs = ['a red circle on a white background', 'a blue square on a yellow background'].flatMap((prompt) =>
    Array.from({ length: count }, (_, seed) => ({
      jobId: `${prompt} ${seed}`,
      request: aRequest({
        prompt,
        negativePrompt: '',
        seed,
        numInferenceSteps: 20,
        guidanceScale: 4,
        widthPx: 256,
        heightPx: 256,
      }),
      images: [],
      signal: new AbortController().signal,
    })),
  );
  for (const job of jobs)
    await runJobs(model.pipeline, [job], {
      maxBatchImages: 1,
      yieldToEventLoop: () => new Promise((resolve) => setImmediate(resolve)),
      observer: {
        onProgress: () => undefined,
        onImage: (_, { image }) => {
          images.push(Uint8Array.from(image.pixels));
        },
        onDone: () => undefined,
        onFailed: (_, error) => {
          throw error;
        },
      },
    });
  return images;
}

/** Of one 8-bit value. */
function difference(
  images: readonly Uint8Array[],
  originals: readonly Uint8Array[],
): { mean: number; largest: number } {
  let sum = 0;
  let values = 0;
  let largest = 0;
  for (const [index, image] of images.entries())
    for (const [at, value] of image.entries()) {
      const apart = Math.abs(value - (originals[index]?.[at] ?? Number.NaN));
      sum += apart;
      values++;
      largest = Math.max(largest, apart);
    }
  return { mean: Number((sum / values).toFixed(3)), largest };
}

/** ONNX Runtime, but the network that runs in every step has rounded weights. */
function roundingRuntime(form: Form): Runtime {
  return {
    ...DEFAULT_RUNTIME,
    open: (graph, options) =>
      DEFAULT_RUNTIME.open(form === 'float32' || options.use === 'once' ? graph : rounded(graph, form), options),
  };
}

function rounded(graph: BuiltGraph, form: Form): BuiltGraph {
  const { widening: _, modelOver: __, ...rest } = graph;
  const model = decodeModel(graph.model);
  const added: TensorProto[] = [];
  const counts: Record<string, number> = {};
  const node = model.graph.node.map((one) => {
    const weight =
      one.opType === 'FusedMatMul' || one.opType === 'Conv' ? weightOf(one, model, graph.weightsFolder) : undefined;
    if (weight === undefined || (one.opType === 'Conv' && form !== 'products and convolutions')) return one;
    const result = form.startsWith('packed') ? packed(one, weight, added) : widened(one, weight, added);
    counts[result.opType] = (counts[result.opType] ?? 0) + 1;
    return result;
  });
  process.stderr.write(`${form}: ${JSON.stringify(counts)}\n`);
  const initializer = [...model.graph.initializer, ...added];
  return { ...rest, model: encodeModel({ ...model, graph: { ...model.graph, node, initializer } }) };
}

interface Weight {
  readonly dims: readonly number[];
  readonly values: Float32Array;
}

/** Behind the cast to float32, as the file has it. */
function weightOf({ input }: NodeProto, { graph }: ModelProto, folder: string): Weight | undefined {
  const cast = graph.node.find((node) => node.opType === 'Cast' && node.output[0] === input[1]);
  const name = cast?.input[0] ?? input[1];
  const tensor = graph.initializer.find((one) => one.name === name);
  if (tensor === undefined) return undefined;
  const bytes = Uint8Array.from(tensor.rawData ?? externalBytes(tensor, folder));
  const values =
    tensor.dataType === FLOAT32 ? new Float32Array(bytes.buffer) : Float32Array.from(new Float16Array(bytes.buffer));
  return { dims: tensor.dims, values };
}

function externalBytes({ externalData = [] }: TensorProto, folder: string): Uint8Array {
  const { location = '', offset, length } = Object.fromEntries(externalData.map(({ key, value }) => [key, value]));
  const start = Number(offset ?? 0);
  return readFileSync(join(folder, location)).subarray(start, start + Number(length));
}

/** The rounded weight, back in float32. */
function widened(node: NodeProto, { dims, values }: Weight, added: TensorProto[]): NodeProto {
  const outputs = dims[0] as number;
  const { values: whole, scales } = quantise(values, outputs);
  const width = whole.length / outputs;
  const data = Float32Array.from(whole, (value, index) => value * (scales[Math.floor(index / width)] as number));
  const name = `${node.name}/rounded`;
  added.push({ name, dims, dataType: FLOAT32, rawData: new Uint8Array(data.buffer) });
  return { ...node, input: [node.input[0] as string, name, ...node.input.slice(2)] };
}

/** ONNX Runtime's product of packed weights. Its accuracy level 4 rounds the activations, a block at a time. */
function packed(node: NodeProto, { dims, values }: Weight, added: TensorProto[]): NodeProto {
  const [outputs = 0, inputs = 0] = dims;
  if (inputs % BLOCK !== 0) return node;
  const { values: whole, scales } = quantise(values, outputs);
  const blocks = inputs / BLOCK;
  const repeated = new Float32Array(outputs * blocks).map((_, index) => scales[Math.floor(index / blocks)] as number);
  const [weight, scale] = [`${node.name}/packed`, `${node.name}/scale`];
  added.push(
    {
      name: weight,
      dims: [outputs, blocks, BLOCK],
      dataType: UINT8,
      rawData: Uint8Array.from(whole, (value) => value + 128),
    },
    { name: scale, dims: [outputs, blocks], dataType: FLOAT32, rawData: new Uint8Array(repeated.buffer) },
  );
  const attributes = { K: inputs, N: outputs, bits: 8, block_size: BLOCK, accuracy_level: 4 };
  return {
    ...node,
    opType: 'MatMulNBits',
    input: [node.input[0] as string, weight, scale],
    attribute: Object.entries(attributes).map(([name, i]) => ({ name, type: 2, i })),
  };
}
