/** The ways to run a layer: weights in float32, or in int8 with one scale for each output channel, in ONNX Runtime and OpenVINO. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { type AttributeProto, encodeModel, type NodeProto, type TensorProto } from '../src/onnx/onnx-schema.ts';
import { openCore } from '../src/runtime/openvino/core.ts';
import { OpenVinoSession } from '../src/runtime/openvino/session.ts';
import { inputShape, type Layer, noise, quantise, weightShape } from './eight-bit-layers.ts';

type Form =
  | { readonly weights: 'float32' | 'dequantised' }
  /** ONNX Runtime's product with packed weights. */
  | { readonly weights: 'packed'; readonly block: number; readonly accuracy: number };

export type Variant = Form & {
  readonly name: string;
  readonly kinds: readonly Layer['kind'][];
  readonly runtime: 'onnxruntime' | 'f32' | 'bf16';
  /** ONNX Runtime's: weights stay mapped. */
  readonly unpacked?: true;
};

const BOTH = ['linear', 'conv'] as const;
const PACKED = [32, 64, 128].flatMap((block) => [0, 4].map((accuracy) => ({ block, accuracy })));

export const VARIANTS: readonly Variant[] = [
  { name: 'ort float32', kinds: BOTH, runtime: 'onnxruntime', weights: 'float32' },
  { name: 'ort float32 no prepacking', kinds: BOTH, runtime: 'onnxruntime', weights: 'float32', unpacked: true },
  { name: 'ort dequantised', kinds: BOTH, runtime: 'onnxruntime', weights: 'dequantised' },
  ...PACKED.map(({ block, accuracy }) => ({
    name: `ort packed block ${block} accuracy ${accuracy}`,
    kinds: ['linear'] as const,
    runtime: 'onnxruntime' as const,
    weights: 'packed' as const,
    block,
    accuracy,
  })),
  { name: 'openvino float32', kinds: BOTH, runtime: 'f32', weights: 'float32' },
  { name: 'openvino dequantised', kinds: BOTH, runtime: 'f32', weights: 'dequantised' },
  { name: 'openvino bfloat16', kinds: BOTH, runtime: 'bf16', weights: 'float32' },
  { name: 'openvino bfloat16 dequantised', kinds: BOTH, runtime: 'bf16', weights: 'dequantised' },
];

interface Setting {
  readonly layer: Layer;
  /** Layers beside each other, each with weights of its own; their results are added. */
  readonly copies: number;
  readonly folder: string;
  readonly libraries: string;
}

interface Opened {
  readonly run: () => Promise<Float32Array>;
  readonly close: () => Promise<void>;
}

/** Writes the weights and the graph. @returns the bytes of the weights */
export function writeVariant(variant: Variant, { layer, copies, folder }: Omit<Setting, 'libraries'>): number {
  const file = weightsName(variant);
  const { model, bytes } = graphOf(variant, { layer, copies, path: join(folder, file), file });
  writeFileSync(join(folder, `${file}.onnx`), model);
  return bytes;
}

/** Opens what `writeVariant` wrote. */
export async function openVariant(
  variant: Variant,
  { layer, folder, libraries }: Omit<Setting, 'copies'>,
): Promise<Opened> {
  const file = join(folder, weightsName(variant));
  const shape = inputShape(layer);
  const input = noise(
    shape.reduce((a, b) => a * b, 1),
    1,
    7,
  );
  const open = variant.runtime === 'onnxruntime' ? openOnnxRuntime : openOpenVino;
  return await open(variant, { model: readFileSync(`${file}.onnx`), folder, file, libraries, input, shape });
}

function weightsName({ name }: Variant): string {
  return `${name.replaceAll(' ', '-')}.weights`;
}

interface Parts {
  readonly model: Uint8Array;
  readonly folder: string;
  readonly file: string;
  readonly libraries: string;
  readonly input: Float32Array;
  readonly shape: readonly number[];
}

async function openOnnxRuntime({ unpacked }: Variant, { model, folder, input, shape }: Parts): Promise<Opened> {
  const session = await InferenceSession.create(model, {
    executionProviders: ['cpu'],
    graphOptimizationLevel: 'all',
    logSeverityLevel: 3,
    enableMemPattern: false,
    intraOpNumThreads: 2,
    extra: {
      session: {
        model_external_initializers_file_folder_path: folder,
        ...(unpacked === true ? { disable_prepacking: '1' } : {}),
        // Else one session of several would take the cores from the others.
        intra_op: { allow_spinning: '0' },
      },
    },
  });
  const x = new Tensor('float32', input, shape);
  return {
    run: async () => (await session.run({ x }))['y']?.data as Float32Array,
    close: async () => await session.release(),
  };
}

async function openOpenVino(
  { runtime }: Variant,
  { model, folder, file, libraries, input, shape }: Parts,
): Promise<Opened> {
  const core = await openCore(libraries);
  const graph = {
    model,
    computeType: 'float32',
    weightsFolder: folder,
    weightFiles: [file],
    weightBytes: 0,
    largestInlineBytes: 0,
    flops: 0,
    activationBytes: 0,
  } as const;
  const session = OpenVinoSession.open(core, graph, { threads: 2, precision: runtime === 'bf16' ? 'bf16' : 'f32' });
  return {
    run: async () => (await session.run({ x: { type: 'float32', data: input, shape } }))['y']?.data as Float32Array,
    close: async () => await session[Symbol.asyncDispose](),
  };
}

const FLOAT32 = 1;
const UINT8 = 2;
const INT8 = 3;

interface Place {
  readonly layer: Layer;
  readonly copies: number;
  readonly path: string;
  readonly file: string;
}

/** The model, its weights in one file beside it. */
function graphOf(form: Form, { layer, copies, path, file }: Place): { model: Uint8Array; bytes: number } {
  const initializer: TensorProto[] = [];
  const node: NodeProto[] = [];
  const pieces: Buffer[] = [];
  let bytes = 0;
  const external = (name: string, dataType: number, dims: readonly number[], data: ArrayBufferView): string => {
    const piece = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
    const externalData = [
      { key: 'location', value: file },
      { key: 'offset', value: String(bytes) },
      { key: 'length', value: String(piece.length) },
    ];
    initializer.push({ name, dims, dataType, dataLocation: 1, externalData });
    // Each tensor begins at a page, as a runtime may map it.
    const padded = Buffer.alloc(Math.ceil(piece.length / 4096) * 4096);
    piece.copy(padded);
    pieces.push(padded);
    bytes += padded.length;
    return name;
  };
  for (let copy = 0; copy < copies; copy++) addLayer({ form, layer, copy, external, node });
  if (copies > 1)
    node.push(
      nodeOf(
        'Sum',
        Array.from({ length: copies }, (_, copy) => `y${copy}`),
        'y',
      ),
    );
  else node.push(nodeOf('Identity', ['y0'], 'y'));
  writeFileSync(path, Buffer.concat(pieces));
  const model = encodeModel({
    irVersion: 9,
    producerName: 'text2img',
    opsetImport: [
      { domain: '', version: 20 },
      { domain: 'com.microsoft', version: 1 },
    ],
    graph: {
      name: 'eight-bit',
      node,
      initializer,
      input: [port('x', inputShape(layer))],
      output: [port('y', outputShape(layer))],
    },
  });
  return { model, bytes };
}

interface Addition {
  readonly form: Form;
  readonly layer: Layer;
  readonly copy: number;
  readonly external: (name: string, dataType: number, dims: readonly number[], data: ArrayBufferView) => string;
  readonly node: NodeProto[];
}

function addLayer({ form, layer, copy, external, node }: Addition): void {
  const { kind, outputs, inputs } = layer;
  const dims = weightShape(layer);
  const weight = noise(
    dims.reduce((a, b) => a * b, 1),
    1 / Math.sqrt(inputs),
    // OpenVINO keeps equal weights once.
    11 + copy,
  );
  const [name, result] = [`w${copy}`, `y${copy}`];
  const product = (w: string): NodeProto =>
    kind === 'linear'
      ? nodeOf('FusedMatMul', ['x', w], result, [whole('transB', 1)])
      : nodeOf('Conv', ['x', w], result, [{ name: 'pads', type: 7, ints: [1, 1, 1, 1] }]);
  if (form.weights === 'float32') {
    node.push(product(external(name, FLOAT32, dims, weight)));
    return;
  }
  const { values, scales } = quantise(weight, outputs);
  if (form.weights === 'packed') {
    const { block, accuracy } = form;
    const blocks = inputs / block;
    const unsigned = Uint8Array.from(values, (value) => value + 128);
    const repeated = new Float32Array(outputs * blocks).map((_, index) => scales[Math.floor(index / blocks)] as number);
    const packed = external(name, UINT8, [outputs, blocks, block], unsigned);
    const scale = external(`${name}/scale`, FLOAT32, [outputs, blocks], repeated);
    const attributes = { K: inputs, N: outputs, bits: 8, block_size: block, accuracy_level: accuracy };
    node.push(
      nodeOf(
        'MatMulNBits',
        ['x', packed, scale],
        result,
        Object.entries(attributes).map(([key, i]) => whole(key, i)),
      ),
    );
    return;
  }
  const quantised = external(name, INT8, dims, values);
  const scale = external(`${name}/scale`, FLOAT32, [outputs], scales);
  node.push(nodeOf('DequantizeLinear', [quantised, scale], `${name}/float32`, [whole('axis', 0)]));
  node.push(product(`${name}/float32`));
}

function outputShape({ kind, outputs, size }: Layer): number[] {
  return kind === 'linear' ? [size, outputs] : [2, outputs, size, size];
}

const MICROSOFT = ['FusedMatMul', 'MatMulNBits'];

function nodeOf(
  opType: string,
  input: readonly string[],
  output: string,
  attribute: readonly AttributeProto[] = [],
): NodeProto {
  const domain = MICROSOFT.includes(opType) ? 'com.microsoft' : '';
  return { name: output, opType, domain, input, output: [output], attribute };
}

function whole(name: string, i: number): AttributeProto {
  return { name, type: 2, i };
}

function port(name: string, shape: readonly number[]) {
  return { name, type: { tensorType: { elemType: FLOAT32, shape: { dim: shape.map((dimValue) => ({ dimValue })) } } } };
}
