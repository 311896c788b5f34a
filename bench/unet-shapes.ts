/** UNets of full shape with random weights, made once, outside the clone: 3.4 GB of Stable Diffusion 1.5, 10.3 GB of XL. */
import { createWriteStream, existsSync } from 'node:fs';
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { once } from 'node:events';
import { join } from 'node:path';
import type { GraphSizes } from '../src/networks/network-class.ts';
import { pooledFeatures, type UNet2DConditionConfig } from '../src/networks/unet-2d-condition-config.ts';
import type { HostTensor, HostTensors } from '../src/runtime/contract.ts';
import { float32 } from '../src/runtime/tensors.ts';
import { readConfig } from '../src/lib/config-rules.ts';
import type { TensorPlace, Weights } from '../src/onnx/weights.ts';
import { UNET_2D_CONDITION_MODEL } from '../src/networks/unet-2d-condition-model.ts';

export type ShapeName = 'sd15' | 'sdxl';

interface Shape {
  readonly about: string;
  /** Below the benchmark's folder. */
  readonly folder: string;
  /** unet/config.json on the hub, less the keys that are defaults. */
  readonly json: Readonly<Record<string, unknown>>;
  /** Height and width in latents. */
  readonly latents: number;
}

export const SHAPES: Readonly<Record<ShapeName, Shape>> = {
  sd15: {
    about: 'SD 1.5 at 512×512',
    folder: 'unet',
    json: {
      attention_head_dim: 8,
      cross_attention_dim: 768,
      sample_size: 64,
      layers_per_block: 2,
      norm_num_groups: 32,
    },
    latents: 64,
  },
  sdxl: {
    about: 'SDXL at 1024×1024',
    folder: 'unet-xl',
    json: {
      addition_embed_type: 'text_time',
      addition_time_embed_dim: 256,
      attention_head_dim: [5, 10, 20],
      block_out_channels: [320, 640, 1280],
      cross_attention_dim: 2048,
      down_block_types: ['DownBlock2D', 'CrossAttnDownBlock2D', 'CrossAttnDownBlock2D'],
      projection_class_embeddings_input_dim: 2816,
      sample_size: 128,
      transformer_layers_per_block: [1, 2, 10],
      up_block_types: ['CrossAttnUpBlock2D', 'CrossAttnUpBlock2D', 'UpBlock2D'],
      use_linear_projection: true,
    },
    latents: 128,
  },
};

export const isShapeName = (name: string): name is ShapeName => Object.hasOwn(SHAPES, name);

export function configOf(shape: Shape): UNet2DConditionConfig {
  return readConfig(UNET_2D_CONDITION_MODEL, shape.json, shape.about).config;
}

/** The sizes that the benchmark runs at: one image, a prompt of CLIP's length. */
export function sizesOf({ latents }: Shape): Required<GraphSizes> {
  return { batch: 1, height: latents, width: latents, tokens: 77 };
}

/** Inputs of one pass. */
export function inputsOf(shape: Shape): HostTensors {
  const config = configOf(shape);
  const { height, width, tokens } = sizesOf(shape);
  const wave = (sizes: readonly number[]): HostTensor =>
    float32(
      Float32Array.from({ length: sizes.reduce((product, size) => product * size, 1) }, (_, index) => Math.sin(index)),
      sizes,
    );
  const pooled = pooledFeatures(config);
  const pixels = height * 8;
  return {
    sample: wave([1, config.in_channels, height, width]),
    timestep: float32(Float32Array.of(500), [1]),
    encoder_hidden_states: wave([1, tokens, config.cross_attention_dim as number]),
    ...(pooled === undefined
      ? {}
      : {
          text_embeds: wave([1, pooled]),
          time_ids: float32(Float32Array.of(pixels, pixels, 0, 0, pixels, pixels), [1, 6]),
        }),
  };
}

/** Name → shape of every tensor, as the builder asks for them: weights that are only asked for. */
function tensorShapes(shape: Shape): Map<string, readonly number[]> {
  const shapes = new Map<string, readonly number[]>();
  const weights: Weights = {
    component: 'unet',
    names: () => shapes.keys(),
    has: () => true,
    place: (name, asked = []) => {
      shapes.set(name, asked);
      return {
        dtype: 'F32',
        shape: asked,
        file: '/none/none',
        offsetBytes: 0,
        lengthBytes: 4096,
      } satisfies TensorPlace;
    },
    smallTensor: () => undefined,
  };
  UNET_2D_CONDITION_MODEL.build({ config: configOf(shape), weights, computeType: 'float32' });
  return shapes;
}

/** Makes the UNet below `folder` in the diffusers layout if it is not there. @returns the folder of the component */
export async function makeUnet(name: ShapeName, folder: string): Promise<string> {
  const shape = SHAPES[name];
  const place = join(folder, shape.folder);
  const path = join(place, 'diffusion_pytorch_model.safetensors');
  if (existsSync(path)) return place;
  await mkdir(place, { recursive: true });
  await writeFile(join(place, 'config.json'), JSON.stringify(shape.json));
  const shapes = tensorShapes(shape);
  let offset = 0;
  const header: Record<string, object> = {};
  for (const [tensor, sizes] of shapes) {
    const bytes = sizes.reduce((product, size) => product * size, 4);
    header[tensor] = { dtype: 'F32', shape: sizes, data_offsets: [offset, offset + bytes] };
    offset += bytes;
  }
  const json = Buffer.from(JSON.stringify(header));
  const padded = Buffer.concat([json, Buffer.alloc((8 - (json.length % 8)) % 8, ' ')]);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(padded.length));
  const out = createWriteStream(`${path}.part`);
  out.write(length);
  out.write(padded);
  for (const [tensor, sizes] of shapes) {
    const values = randomValues(tensor, sizes);
    if (!out.write(Buffer.from(values.buffer))) await once(out, 'drain');
  }
  out.end();
  await once(out, 'close');
  await rename(`${path}.part`, path);
  return place;
}

/** Norms near one, biases near zero, the rest scaled by its inputs, so that activations stay finite through the whole network. */
function randomValues(name: string, shape: readonly number[]): Float32Array<ArrayBuffer> {
  const count = shape.reduce((product, size) => product * size, 1);
  const inputs = shape.slice(1).reduce((product, size) => product * size, 1);
  const isNorm = shape.length === 1 && name.endsWith('.weight');
  const scale = isNorm ? 0.02 : shape.length === 1 ? 0.01 : 1 / Math.sqrt(inputs);
  const values = new Float32Array(count);
  let state = count >>> 0 || 1;
  for (let index = 0; index < count; index++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    values[index] = (isNorm ? 1 : 0) + (state / 2 ** 31 - 1) * scale;
  }
  return values;
}
