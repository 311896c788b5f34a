/**
 * Finds a component's weight files in its folder, one file or shards, of a variant or not, and reads their headers.
 * Source: diffusers models/model_loading_utils.py and utils/constants.py (file names).
 */
import { existsSync } from 'node:fs';
import { open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { Text2ImgError } from '../errors/text2img-error.ts';
import { readJsonFile } from './json-file.ts';
import { readSafetensorsHeader } from './safetensors.ts';
import type { TensorPlace, Weights } from './weights.ts';

const SMALL_TENSOR_BYTES = 1 << 20;
const PICKLE_ENDINGS = ['.bin', '.ckpt', '.pt', '.pth'];

const shardIndexSchema = z.object({ weight_map: z.record(z.string(), z.string()) });

export interface ComponentFiles {
  /** `unet` */
  readonly component: string;
  readonly folder: string;
  /** `diffusion_pytorch_model` or `model` */
  readonly baseName: string;
  /** `fp16`: files called `<base>.fp16.safetensors` come first. */
  readonly variant?: string;
}

/** @throws `model_not_found`, `unsafe_weights`, `invalid_safetensors`, `invalid_config` */
export async function openComponentWeights(files: ComponentFiles): Promise<Weights> {
  const paths = await findWeightFiles(files);
  const places = new Map<string, TensorPlace>();
  for (const path of paths) {
    for (const [name, place] of await readSafetensorsHeader(path)) places.set(name, place);
  }
  return loadSmallTensors(files.component, places);
}

async function findWeightFiles({ component, folder, baseName, variant }: ComponentFiles): Promise<string[]> {
  const names = await readdir(folder).catch((cause: unknown) => {
    throw new Text2ImgError('model_not_found', `the checkpoint has no folder ${folder} for its ${component}.`, {
      cause,
    });
  });
  // A variant that was asked for, then the plain files, then the only other variant there is.
  const found = names.flatMap((name) => {
    const match = /^(.+?)(?:\.([\w-]+))?\.safetensors(?:\.index(?:\.([\w-]+))?\.json)?$/.exec(name);
    if (match === null || match[1] !== baseName) return [];
    return [{ name, variant: match[2] ?? match[3], isIndex: name.endsWith('.json') }];
  });
  const wanted = found.filter((file) => file.variant === variant);
  const chosen = wanted[0] ?? found.find((file) => file.variant === undefined) ?? found[0];
  if (chosen === undefined) throw missingWeights(names, { component, folder, baseName });
  if (!chosen.isIndex) return [join(folder, chosen.name)];
  const index = shardIndexSchema.safeParse(await readJsonFile(join(folder, chosen.name)));
  if (!index.success)
    throw new Text2ImgError(
      'invalid_config',
      `${join(folder, chosen.name)} has no "weight_map" of tensor names to file names.`,
    );
  return [...new Set(Object.values(index.data.weight_map))].map((name) => join(folder, name));
}

function missingWeights(names: readonly string[], { component, folder, baseName }: ComponentFiles): Text2ImgError {
  const pickle = names.find((name) => PICKLE_ENDINGS.some((ending) => name.endsWith(ending)));
  if (pickle !== undefined) {
    return new Text2ImgError(
      'unsafe_weights',
      `${component} has its weights only as the pickle ${join(folder, pickle)}, which can run code when it is read; ` +
        'use a checkpoint that has safetensors, or save it once with save_pretrained(..., safe_serialization=True) in Python.',
    );
  }
  return new Text2ImgError(
    'model_not_found',
    `${component} has no weights: ${join(folder, `${baseName}.safetensors`)} does not exist.`,
  );
}

/** Reads the small tensors at once, so that graphs can hold them and no file has to stay open. */
async function loadSmallTensors(component: string, places: ReadonlyMap<string, TensorPlace>): Promise<Weights> {
  const small = new Map<string, Uint8Array>();
  for (const file of new Set([...places.values()].map((place) => place.file))) {
    if (!existsSync(file)) continue;
    await using handle = await open(file, 'r');
    for (const [name, place] of places) {
      if (place.file !== file || place.lengthBytes > SMALL_TENSOR_BYTES || place.shape.length > 1) continue;
      const bytes = new Uint8Array(place.lengthBytes);
      await handle.read(bytes, 0, bytes.length, place.offsetBytes);
      small.set(name, bytes);
    }
  }
  return new ComponentWeights(component, places, small);
}

class ComponentWeights implements Weights {
  readonly component: string;
  readonly #places: ReadonlyMap<string, TensorPlace>;
  readonly #small: ReadonlyMap<string, Uint8Array>;

  constructor(component: string, places: ReadonlyMap<string, TensorPlace>, small: ReadonlyMap<string, Uint8Array>) {
    this.component = component;
    this.#places = places;
    this.#small = small;
  }

  names(): Iterable<string> {
    return this.#places.keys();
  }

  has(name: string): boolean {
    return this.#places.has(name);
  }

  place(name: string): TensorPlace {
    const place = this.#places.get(name);
    if (place === undefined) {
      throw new Text2ImgError(
        'missing_tensor',
        `${this.component}: the weights have no tensor "${name}", which the configuration asks for.`,
      );
    }
    return place;
  }

  smallTensor(name: string): Uint8Array | undefined {
    return this.#small.get(name);
  }
}
