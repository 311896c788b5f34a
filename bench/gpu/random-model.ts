/**
 * Makes a model of random weights as a folder of diffusers: configurations, tokenizers and float16 weights. The numbers follow from a seed, so every
 * machine makes the same file and none has to be carried.
 */
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { cp, open } from 'node:fs/promises';
import { join } from 'node:path';
import { readConfig } from '../../src/lib/config-rules.ts';
import { AUTOENCODER_KL } from '../../src/networks/autoencoder-kl.ts';
import { CLIP_TEXT_MODEL, CLIP_TEXT_MODEL_WITH_PROJECTION } from '../../src/networks/clip-text-model.ts';
import type { NetworkClass } from '../../src/networks/network-class.ts';
import { UNET_2D_CONDITION_MODEL } from '../../src/networks/unet-2d-condition-model.ts';
import type { Weights } from '../../src/onnx/weights.ts';
import { fillRandom, makeTokenizer } from '../checkpoints.ts';
import { type BenchModel, benchModel, type ModelName } from './models.ts';

const CLASSES: readonly NetworkClass[] = [
  UNET_2D_CONDITION_MODEL,
  AUTOENCODER_KL,
  CLIP_TEXT_MODEL,
  CLIP_TEXT_MODEL_WITH_PROJECTION,
];

const SCHEDULER = {
  _class_name: 'EulerDiscreteScheduler',
  beta_start: 0.00085,
  beta_end: 0.012,
  beta_schedule: 'scaled_linear',
  steps_offset: 1,
  timestep_spacing: 'leading',
};

interface Place {
  readonly workFolder: string;
  readonly isTiny: boolean;
}

/** Makes it where it is not there yet. @returns its folder */
export async function ensureModel(name: ModelName, { workFolder, isTiny }: Place): Promise<string> {
  const folder = join(workFolder, 'models', isTiny ? `${name}-tiny` : name);
  if (existsSync(folder)) return folder;
  const draft = `${folder}.part`;
  rmSync(draft, { recursive: true, force: true });
  mkdirSync(draft, { recursive: true });
  await writeModel(benchModel(name, isTiny), draft);
  renameSync(draft, folder);
  return folder;
}

async function writeModel(model: BenchModel, folder: string): Promise<void> {
  const index: Record<string, unknown> = { _class_name: model.pipelineClass };
  const write = (path: string, value: unknown): void => {
    mkdirSync(join(folder, path, '..'), { recursive: true });
    writeFileSync(join(folder, path), JSON.stringify(value));
  };
  for (const [component, { library, json }] of Object.entries(model.networks)) {
    const network = classOf(String(json['_class_name']));
    index[component] = [library, network.className];
    write(
      `${component}/config.json`,
      library === 'transformers' ? { architectures: [network.className], ...json } : json,
    );
    await writeWeights(join(folder, component, `${network.weightsBaseName}.safetensors`), tensorsOf(network, json));
  }
  const tokenizer = await makeTokenizer();
  for (const name of model.tokenizers) {
    index[name] = ['transformers', 'CLIPTokenizer'];
    await cp(tokenizer, join(folder, name), { recursive: true });
  }
  index['scheduler'] = ['diffusers', SCHEDULER._class_name];
  write('scheduler/scheduler_config.json', SCHEDULER);
  write('model_index.json', index);
}

function classOf(name: string): NetworkClass {
  const found = CLASSES.find(({ className }) => className === name);
  if (found === undefined) throw new Error(`no network class ${name}`);
  return found;
}

/** Name → shape of every tensor that the network's graph asks for. */
function tensorsOf(network: NetworkClass, json: Readonly<Record<string, unknown>>): Map<string, readonly number[]> {
  const shapes = new Map<string, readonly number[]>();
  const weights: Weights = {
    component: network.className,
    names: () => shapes.keys(),
    has: () => true,
    place: (name, shape = []) => {
      shapes.set(name, asStored(shape));
      return { dtype: 'F16', shape, file: '/none/none', offsetBytes: 0, lengthBytes: 4096 };
    },
    smallTensor: () => undefined,
  };
  const { _class_name: _, ...stated } = json;
  const { config } = readConfig(network, stated, network.className);
  network.build({ config, weights, computeType: 'float16' });
  return shapes;
}

/** The graph asks for the numbers of a norm as [C, 1, 1]; PyTorch has them as [C]. Kernels have four dimensions. */
function asStored(shape: readonly number[]): readonly number[] {
  return shape.length < 4 && shape.slice(1).every((size) => size === 1) ? shape.slice(0, 1) : shape;
}

async function writeWeights(path: string, shapes: ReadonlyMap<string, readonly number[]>): Promise<void> {
  let end = 0;
  const tensors = [...shapes].map(([name, shape]) => {
    const from = end;
    end += 2 * shape.reduce((product, size) => product * size, 1);
    return { name, shape, from, to: end };
  });
  const entries = tensors.map(({ name, shape, from, to }) => [name, { dtype: 'F16', shape, data_offsets: [from, to] }]);
  const json = Buffer.from(JSON.stringify(Object.fromEntries(entries)));
  // The numbers of every tensor begin at a multiple of 8.
  const padded = Buffer.concat([json, Buffer.alloc((8 - (json.length % 8)) % 8, ' ')]);
  const start = Buffer.alloc(8);
  start.writeBigUInt64LE(BigInt(padded.length));
  {
    await using file = await open(path, 'w');
    await file.write(Buffer.concat([start, padded]));
    await file.truncate(start.length + padded.length + end);
  }
  const dataAt = start.length + padded.length;
  await fillRandom(
    path,
    tensors.map(({ name, shape, from }) => ({ name, shape, offsetBytes: dataAt + from })),
  );
}
