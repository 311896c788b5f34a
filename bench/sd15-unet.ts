/** A UNet of Stable Diffusion 1.5's full shape with random weights: 3.4 GB, made once, outside the clone. */
import { createWriteStream, existsSync } from 'node:fs';
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { once } from 'node:events';
import { join } from 'node:path';
import type { UNet2DConditionConfig } from '../src/networks/unet-2d-condition-config.ts';
import { readConfig } from '../src/lib/config-rules.ts';
import type { TensorPlace, Weights } from '../src/onnx/weights.ts';
import { UNET_2D_CONDITION_MODEL } from '../src/networks/unet-2d-condition-model.ts';

/** unet/config.json of stable-diffusion-v1-5, less the keys that are defaults. */
const CONFIG = {
  attention_head_dim: 8,
  cross_attention_dim: 768,
  sample_size: 64,
  layers_per_block: 2,
  norm_num_groups: 32,
};

export function sd15Config(): UNet2DConditionConfig {
  return readConfig(UNET_2D_CONDITION_MODEL, CONFIG, 'sd15').config;
}

/** Name → shape of every tensor, told by the builder itself: weights that are only asked for. */
function tensorShapes(): Map<string, readonly number[]> {
  const shapes = new Map<string, readonly number[]>();
  const weights: Weights = {
    component: 'unet',
    names: () => shapes.keys(),
    has: () => true,
    place: (name, shape = []) => {
      shapes.set(name, shape);
      return { dtype: 'F32', shape, file: '/none/none', offsetBytes: 0, lengthBytes: 4096 } satisfies TensorPlace;
    },
    smallTensor: () => undefined,
  };
  UNET_2D_CONDITION_MODEL.build({ config: sd15Config(), weights, computeType: 'float32' });
  return shapes;
}

/** Makes `folder/unet` in the diffusers layout if it is not there. @returns the folder of the component */
export async function makeSd15Unet(folder: string): Promise<string> {
  const place = join(folder, 'unet');
  const path = join(place, 'diffusion_pytorch_model.safetensors');
  if (existsSync(path)) return place;
  await mkdir(place, { recursive: true });
  await writeFile(join(place, 'config.json'), JSON.stringify(CONFIG));
  const shapes = tensorShapes();
  let offset = 0;
  const header: Record<string, object> = {};
  for (const [name, shape] of shapes) {
    const bytes = shape.reduce((product, size) => product * size, 4);
    header[name] = { dtype: 'F32', shape, data_offsets: [offset, offset + bytes] };
    offset += bytes;
  }
  const json = Buffer.from(JSON.stringify(header));
  const padded = Buffer.concat([json, Buffer.alloc((8 - (json.length % 8)) % 8, ' ')]);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(padded.length));
  const out = createWriteStream(`${path}.part`);
  out.write(length);
  out.write(padded);
  for (const [name, shape] of shapes) {
    const values = randomValues(name, shape);
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
